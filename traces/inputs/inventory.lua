-- SPDX-License-Identifier: MIT
-- An inventory in tables: parse lines, group, sort, format, throw away.
local seed = 42
local function random(n)
	seed = (seed * 1103515245 + 12345) % 2147483648
	return seed // 65536 % n
end

local function line(i)
	local words = {}
	for k = 1, 2 + random(4) do
		words[k] = ("part%d-%x"):format(random(500), random(65536))
	end
	return i .. ";" .. table.concat(words, " ") .. ";" .. random(1000)
end

local function parse(text)
	local number, name, count = text:match("^(%d+);([^;]*);(%d+)$")
	local item = { number = tonumber(number), count = tonumber(count), tags = {} }
	for tag in name:gmatch("%S+") do
		item.tags[#item.tags + 1] = tag
	end
	return item
end

local total = 0
for round = 1, 6 do
	local groups, names = {}, {}
	for i = 1, 1500 do
		local item = parse(line(i))
		for _, tag in ipairs(item.tags) do
			local stem = tag:match("^%a+%d+")
			if not groups[stem] then
				groups[stem] = {}
				names[#names + 1] = stem
			end
			table.insert(groups[stem], item)
		end
	end
	table.sort(names)
	local report = {}
	for _, name in ipairs(names) do
		local sum = 0
		for _, item in ipairs(groups[name]) do
			sum = sum + item.count
		end
		report[#report + 1] = ("%-10s %6d in %3d"):format(name, sum, #groups[name])
	end
	total = total + #table.concat(report, "\n")
end
print(total)
