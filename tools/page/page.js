// SPDX-License-Identifier: MIT
// Shows what the laboratory measured: a table, plots over time, maps.
"use strict";
(() => {
	const data = JSON.parse(document.getElementById("data").textContent);
	const heaps = data.heaps.filter((heap) => !heap.not_run);
	const $ = (id) => document.getElementById(id);
	const MIB = 1048576;
	const UNIT = 16;

	// -------- words and numbers --------

	const count = (n) => n.toLocaleString("en");
	const fixed = (n, digits) =>
		n.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
	const percent = (share) => fixed(share * 100, 1) + " %";
	const hex = (n) => "+0x" + n.toString(16);

	function size(bytes) {
		const units = ["bytes", "KiB", "MiB", "GiB"];
		let at = 0;
		while (bytes >= 1024 && at < 3) {
			bytes /= 1024;
			at++;
		}
		return (at === 0 ? count(bytes) : fixed(bytes, 1)) + " " + units[at];
	}

	function element(name, attributes, ...children) {
		const made = document.createElement(name);
		for (const key in attributes) {
			made.setAttribute(key, attributes[key]);
		}
		made.append(...children);
		return made;
	}

	const colours = {
		bestfit: "#0f6fb8", block: "#d1495b", "list:first": "#1b8a5a", "list:next": "#49b08a",
		"list:best": "#8aa81f", buddy: "#8c5fbf", pages: "#c86fae", tlsf: "#1b2530",
		slab: "#e08a00", glibc: "#7b8794",
	};
	const spare = ["#00798c", "#a44a3f", "#5c6bc0", "#6d8700"];
	heaps.forEach((heap, i) => {
		heap.colour = colours[heap.name] || spare[i % spare.length];
	});

	// -------- head and settings --------

	function facts(list, pairs) {
		for (const [name, value] of pairs) {
			if (value !== null) {
				list.append(element("div", {}, element("dt", {}, name), element("dd", {}, String(value))));
			}
		}
	}

	function showHead() {
		const name = data.workload.replace(/^.*\//, "").replace(/(\.trace)?(\.(xz|zst|gz))?$/, "");
		const work = heaps[0].work;
		document.title = "Loam: heap laboratory, " + name;
		$("title").textContent = name;
		$("summary").textContent = data.trace
			? "A trace: what a program allocated, resized and freed."
			: data.summary[0].toUpperCase() + data.summary.slice(1) + ".";
		facts($("facts"), [
			["operations", count(work.operations)],
			["of these timed", count(work.timed)],
			["most blocks live", count(work.peak_live_blocks)],
			["most bytes live", size(work.peak_live_bytes)],
			["largest block", size(work.largest)],
			["lines left out", data.bad_lines ? count(data.bad_lines) : null],
		]);
		const generated = !data.trace;
		facts($("settings"), [
			["workload", data.workload],
			["objects", generated ? count(data.objects) : null],
			["pairs", generated ? count(data.pairs) : null],
			["sizes", generated ? `${count(data.min)} to ${count(data.max)} bytes` : null],
			["seed", generated ? data.seed : null],
			["rounds", data.rounds],
			["window of each heap", size(data.window_bytes)],
			["points in time", count(heaps[0].samples.length)],
		]);
	}

	// -------- the table --------

	const columns = [
		{ name: "time", unit: "ns per operation", low: true, of: (h) => h.time.ns, show: (v) => fixed(v, 1),
			text: "processor time of one operation, median of the rounds" },
		{ name: "of TLSF’s", unit: "ratio", low: true, bar: true, of: (h) => h.time.ratio, show: (v) => fixed(v, 2),
			text: "the same over TLSF’s time in the same round, median" },
		{ name: "worst", unit: "ns", low: true, of: (h) => h.time.worst_ns, show: (v) => count(v),
			text: "the dearest single operation, the least of its rounds" },
		{ name: "instructions", unit: "per operation", low: true, of: (h) => h.time.instructions,
			show: (v) => fixed(v, 1), text: "in user mode, where the machine counts them" },
		{ name: "peak", unit: "over live bytes", low: true, of: (h) => h.memory.overhead || null,
			show: (v) => fixed(v, 3), text: "peak of the heap’s pages over the peak of the bytes asked for" },
		{ name: "internal", unit: "fragmentation", low: true, of: (h) => h.memory.internal, show: percent,
			text: "of live blocks and their headers, the part that was not asked for, where most bytes are live" },
		{ name: "external", unit: "fragmentation", low: true,
			of: (h) => (h.memory.external < 0 ? null : h.memory.external), show: percent,
			text: "of the heap’s pages, the part that no live block has, at the same time" },
		{ name: "largest free", unit: "block", low: false, of: (h) => h.memory.largest_free || null, show: size,
			text: "what could be had without asking for pages, at the same time" },
		{ name: "failed", unit: "requests", low: true, zero: true, of: (h) => h.memory.failed,
			show: (v) => count(v), text: "requests that got no memory" },
	];

	function cell(column, heap, best, most) {
		const value = column.of(heap);
		const td = element("td", { "data-column": column.name });
		if (value === null || value === undefined) {
			td.textContent = "–";
			return td;
		}
		td.dataset.value = value;
		if (column.bar) {
			td.className = "bar";
			const width = Math.max(2, (Math.log1p(value) / Math.log1p(most)) * 80);
			td.append(element("div", {},
				element("i", { style: `width:${width}px;background:${heap.colour}` }),
				element("span", {}, column.show(value))));
		} else {
			td.textContent = column.show(value);
		}
		if (column.zero && value > 0) {
			td.classList.add("bad");
		} else if (!column.zero && column.low && value === best) {
			td.classList.add("best");
		}
		return td;
	}

	let sorted = null;

	function order() {
		const rows = data.heaps.slice();
		if (sorted !== null) {
			const column = columns[sorted.column];
			const key = (h) => (h.not_run ? null : column.of(h)) ?? Infinity;
			rows.sort((a, b) => (sorted.down ? key(b) - key(a) : key(a) - key(b)));
		}
		return rows;
	}

	function showTable() {
		const head = element("tr", {}, element("th", { scope: "col" }, "heap"));
		const body = element("tbody", {});
		const used = columns.filter((c) => heaps.some((h) => c.of(h) !== null));
		for (const column of used) {
			const at = columns.indexOf(column);
			const th = element("th", { scope: "col", title: column.text },
				column.name, element("small", {}, column.unit));
			if (sorted !== null && sorted.column === at) {
				th.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
			}
			th.onclick = () => {
				sorted = { column: at, down: sorted !== null && sorted.column === at && !sorted.down };
				showTable();
			};
			head.append(th);
		}
		for (const heap of order()) {
			const th = element("th", { scope: "row" },
				element("span", { class: "swatch", style: `background:${heap.colour || "#ccc"}` }),
				heap.name, element("small", {}, heap.summary));
			const row = element("tr", { "data-heap": heap.name }, th);
			if (heap.not_run) {
				row.append(element("td", { colspan: used.length }, "not run: " + heap.not_run));
			} else {
				for (const column of used) {
					const values = heaps.map(column.of).filter((v) => v !== null);
					row.append(cell(column, heap, Math.min(...values), Math.max(...values)));
				}
			}
			body.append(row);
		}
		$("table").replaceChildren(element("thead", {}, head), body);
		$("columns").replaceChildren(...used.flatMap((c) =>
			[element("dt", {}, c.name), element("dd", {}, c.text)]));
	}

	// -------- time --------

	const steps = Math.max(...heaps.map((h) => h.samples.length));
	let now = 0;

	// A heap's sample at a step: their numbers differ where workloads do.
	const sampleAt = (heap, step) =>
		heap.samples[steps > 1 ? Math.round((step * (heap.samples.length - 1)) / (steps - 1)) : 0];
	const shares = {
		internal: (s) => (s.usable + s.header ? 100 * (1 - s.asked / (s.usable + s.header)) : 0),
		external: (s) => (s.mapped ? 100 * Math.max(0, 1 - (s.usable + s.header) / s.mapped) : null),
	};

	const plots = [];
	const opAt = (step) => sampleAt(heaps[0], step).op;
	const xs = Array.from({ length: steps }, (_, i) => (data.adaptive ? (100 * (i + 1)) / steps : opAt(i)));

	// A line where the slider is.
	function marker() {
		return {
			hooks: {
				draw: (u) => {
					const x = u.valToPos(xs[now], "x", true);
					u.ctx.save();
					u.ctx.strokeStyle = "#1f5fa8";
					u.ctx.lineWidth = devicePixelRatio;
					u.ctx.setLineDash([4, 3]);
					u.ctx.beginPath();
					u.ctx.moveTo(x, u.bbox.top);
					u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
					u.ctx.stroke();
					u.ctx.restore();
				},
				ready: (u) => {
					u.over.addEventListener("click", () => {
						if (u.cursor.idx !== null) {
							move(u.cursor.idx);
						}
					});
				},
			},
		};
	}

	function plot(id, height, lines, values, y) {
		const box = $(id);
		const label = data.adaptive ? "share of the heap’s own workload, %" : "operation";
		const options = {
			width: box.clientWidth, height, legend: { markers: { width: 2 } },
			cursor: { drag: { x: false, y: false }, sync: { key: "lab" }, points: { size: 6 } },
			scales: { x: { time: false }, y },
			axes: [
				{ label, labelSize: 24, size: 32, labelFont: "13px system-ui, sans-serif", stroke: "#5b6876",
					grid: { stroke: "#eef1f4" }, ticks: { stroke: "#dde3ea" },
					values: (u, splits) => splits.map(count) },
				{ size: 56, stroke: "#5b6876", grid: { stroke: "#eef1f4" }, ticks: { stroke: "#dde3ea" },
					values: (u, splits) => splits.map((v) => (v === null ? "" : count(v))) },
			],
			series: [{ label: data.adaptive ? "%" : "operation", value: (u, v) => (v === null ? "" : count(v)) },
				...lines.map((l) => ({ ...l, value: (u, v) => (v === null ? "" : fixed(v, 1)) }))],
			plugins: [marker()],
		};
		const made = new uPlot(options, [xs, ...values], box);
		made.lab = { id, height };
		plots.push(made);
		return made;
	}

	const line = (heap) => ({
		label: heap.name, stroke: heap.colour, width: heap.name === "tlsf" ? 2.5 : 1.5,
		dash: heap.name === "glibc" ? [6, 4] : undefined, points: { show: false },
	});
	const column = (heap, of) => xs.map((_, i) => of(sampleAt(heap, i)));

	let logarithmic = false;

	function showFootprint() {
		const at = plots.findIndex((p) => p.lab.id === "plot-footprint");
		if (at >= 0) {
			plots[at].destroy();
			plots.splice(at, 1);
		}
		const positive = (v) => (v > 0 ? v / MIB : null);
		const live = { label: "bytes asked for", stroke: "#8fa3b8", width: 1.5,
			fill: logarithmic ? undefined : "rgba(143,163,184,0.22)", points: { show: false } };
		$("scale").textContent = logarithmic ? "linear scale" : "logarithmic scale";
		plot("plot-footprint", 300, [live, ...heaps.map(line)],
			[column(heaps[0], (s) => positive(s.asked)),
				...heaps.map((h) => column(h, (s) => positive(s.mapped)))],
			logarithmic ? { distr: 3 } : { range: (u, low, high) => [0, high * 1.05 || 1] });
	}

	function showPlots() {
		const peaks = heaps.map((h) => h.memory.peak_mapped).filter((v) => v > 0);
		logarithmic = peaks.length > 0 && Math.max(...peaks) > 4 * Math.min(...peaks);
		showFootprint();
		for (const kind of ["internal", "external"]) {
			plot("plot-" + kind, 250, heaps.map(line), heaps.map((h) => column(h, shares[kind])),
				{ range: (u, low, high) => [0, Math.min(100, high * 1.08) || 1] });
		}
		$("scale").onclick = () => {
			logarithmic = !logarithmic;
			showFootprint();
		};
	}

	// -------- maps --------

	const ROWS = 26;
	const ROW_HEIGHT = 7;
	const rgb = (name) => {
		const text = getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
		return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
	};
	const kinds = ["live", "header", "waste", "free", "none"];
	const palette = kinds.map(rgb);

	// Births: numbers of operations from their differences, once.
	function unpackBirths(births) {
		let last = 0;
		births.born = births.born_after.map((d) => (last += d));
		births.died = births.life.map((life, i) => (life < 0 ? Infinity : births.born[i] + life));
	}

	// Every stretch that ever had a page, one behind the other.
	function layOut(heap) {
		const runs = [];
		for (const sample of heap.samples) {
			for (let i = 0; i < sample.pages.length; i += 2) {
				runs.push([sample.pages[i], sample.pages[i] + sample.pages[i + 1]]);
			}
		}
		runs.sort((a, b) => a[0] - b[0]);
		const stretches = [];
		let total = 0;
		for (const [start, end] of runs) {
			const top = stretches[stretches.length - 1];
			if (top && start <= top.end) {
				total += Math.max(0, end - top.end);
				top.end = Math.max(top.end, end);
			} else {
				stretches.push({ start, end, at: total });
				total += end - start;
			}
		}
		return { stretches, total };
	}

	function find(list, key, of) {
		let low = 0;
		let high = list.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (of(list[middle]) <= key) {
				low = middle + 1;
			} else {
				high = middle;
			}
		}
		return low - 1;
	}

	// From an address in the window to a place in the map, and back.
	function toPlace(map, address) {
		const s = map.stretches[find(map.stretches, address, (x) => x.start)];
		return s && address < s.end ? s.at + address - s.start : -1;
	}
	function toAddress(map, place) {
		const s = map.stretches[Math.max(0, find(map.stretches, place, (x) => x.at))];
		return s.start + place - s.at;
	}

	function makeMap(heap) {
		const canvas = element("canvas", { "data-heap": heap.name });
		const title = element("h3", {},
			element("span", { class: "swatch", style: `background:${heap.colour}` }), heap.name,
			element("small", {}));
		const text = element("p", {});
		const share = element("div", { class: "share" },
			...["live", "header", "waste"].map((k) => element("i", { style: `background:var(--${k})` })));
		$("maps").append(element("div", { class: "map" }, title, text, share, canvas));
		const births = heap.births || data.births;
		if (!births.born) {
			unpackBirths(births);
		}
		const map = { heap, canvas, title, text, share, births, late: new Map(heap.blocks.late), ...layOut(heap) };
		canvas.addEventListener("mousemove", (event) => point(map, event));
		canvas.addEventListener("mouseleave", () => ($("tip").hidden = true));
		return map;
	}

	// The blocks that are live after an operation: indices of births.
	function liveAt(map, op) {
		const { born, died } = map.births;
		const unit = map.heap.blocks.unit;
		const live = [];
		for (let i = 0; i < born.length && born[i] <= op; i++) {
			const end = map.late.has(i) ? (map.late.get(i) < 0 ? Infinity : map.late.get(i)) : died[i];
			if (end > op && unit[i] >= 0) {
				live.push(i);
			}
		}
		return live;
	}

	// Bytes [from, to) of the map are of a kind: spread over its pixels.
	function cover(sums, bytes, from, to) {
		let at = Math.floor(from / bytes);
		while (from < to && at < sums.length) {
			const end = Math.min(to, (at + 1) * bytes);
			sums[at++] += end - from;
			from = end;
		}
	}

	function paint(map, sample) {
		const width = Math.max(100, Math.floor(map.canvas.clientWidth) || 500);
		const bytes = Math.max(UNIT, Math.ceil(map.total / (width * ROWS) / UNIT) * UNIT);
		const rows = Math.max(1, Math.ceil(map.total / bytes / width));
		const sums = kinds.slice(0, 4).map(() => new Float32Array(width * rows));
		map.width = width;
		map.bytes = bytes;
		map.rows = rows;
		map.live = liveAt(map, sample.op);
		map.sorted = null;
		map.sample = sample;
		for (let i = 0; i < sample.pages.length; i += 2) {
			const from = toPlace(map, sample.pages[i]);
			cover(sums[3], bytes, from, from + sample.pages[i + 1]);
		}
		const header = map.heap.memory.header;
		for (const i of map.live) {
			const at = toPlace(map, map.heap.blocks.unit[i] * UNIT);
			if (at >= 0) {
				const end = at + map.births.asked[i];
				cover(sums[1], bytes, Math.max(0, at - header), at);
				cover(sums[0], bytes, at, end);
				cover(sums[2], bytes, end, end + map.heap.blocks.waste[i]);
			}
		}
		draw(map, sums);
	}

	function draw(map, sums) {
		const { width, rows, bytes, canvas } = map;
		const image = new ImageData(width, rows);
		for (let i = 0; i < width * rows; i++) {
			const inside = i * bytes < map.total;
			const held = sums[0][i] + sums[1][i] + sums[2][i];
			const parts = [sums[0][i], sums[1][i], sums[2][i], Math.max(0, sums[3][i] - held), 0];
			parts[4] = Math.max(0, bytes - held - parts[3]);
			for (let c = 0; c < 3; c++) {
				let sum = 0;
				for (let k = 0; k < 5; k++) {
					sum += parts[k] * palette[k][c];
				}
				image.data[i * 4 + c] = inside ? sum / bytes : 255;
			}
			image.data[i * 4 + 3] = 255;
		}
		const small = new OffscreenCanvas(width, rows);
		small.getContext("2d").putImageData(image, 0, 0);
		canvas.width = width;
		canvas.height = rows * (ROW_HEIGHT + 1) - 1;
		const to = canvas.getContext("2d");
		to.imageSmoothingEnabled = false;
		to.fillStyle = "#fff";
		to.fillRect(0, 0, width, canvas.height);
		for (let row = 0; row < rows; row++) {
			to.drawImage(small, 0, row, width, 1, 0, row * (ROW_HEIGHT + 1), width, ROW_HEIGHT);
		}
	}

	function caption(map) {
		const s = map.sample;
		const waste = s.usable - s.asked;
		map.title.querySelector("small").textContent =
			`a row is ${size(map.width * map.bytes)}, a pixel ${size(map.bytes)}`;
		const pages = s.mapped ? size(s.mapped) : "pages unknown";
		map.text.textContent = `${count(s.blocks)} blocks, ${size(s.asked)} live in ${pages}; ` +
			`headers ${size(s.header)}, waste ${size(waste)}`;
		map.text.dataset.op = s.op;
		const whole = s.mapped || s.usable + s.header || 1;
		[s.asked, s.header, waste].forEach((part, i) => {
			map.share.children[i].style.width = (100 * part) / whole + "%";
		});
	}

	// -------- pointing --------

	// Live blocks by place; made when somebody points for the first time.
	function byPlace(map) {
		if (map.sorted === null) {
			map.sorted = map.live
				.map((i) => ({ i, at: toPlace(map, map.heap.blocks.unit[i] * UNIT) }))
				.filter((b) => b.at >= 0);
			for (const b of map.sorted) {
				b.asked = map.births.asked[b.i];
				b.end = b.at + b.asked + map.heap.blocks.waste[b.i];
				b.start = b.at - map.heap.memory.header;
			}
			map.sorted.sort((a, b) => a.at - b.at);
		}
		return map.sorted;
	}

	// What is in a pixel: its first block, and how many there are.
	function blocksIn(map, from, to) {
		const list = byPlace(map);
		let at = find(list, from, (b) => b.start);
		at = at >= 0 && list[at].end > from ? at : at + 1;
		const found = [];
		while (at < list.length && list[at].start < to) {
			found.push(list[at++]);
		}
		return found;
	}

	function hasPage(map, address) {
		const pages = map.sample.pages;
		for (let i = 0; i < pages.length; i += 2) {
			if (address >= pages[i] && address < pages[i] + pages[i + 1]) {
				return true;
			}
		}
		return false;
	}

	function magnify(map, middle) {
		const width = 276;
		const canvas = element("canvas", { width, height: 18 });
		const bytes = UNIT;
		const from = Math.max(0, Math.floor(middle / bytes) * bytes - (width / 2) * bytes);
		const to = canvas.getContext("2d");
		for (let x = 0; x < width; x++) {
			const place = from + x * bytes;
			const there = place < map.total && hasPage(map, toAddress(map, place));
			to.fillStyle = there ? "#d3dce6" : "#f7f9fb";
			to.fillRect(x, 0, 1, 18);
		}
		const bar = (colour, a, b) => {
			to.fillStyle = colour;
			to.fillRect((a - from) / bytes, 0, Math.max((b - a) / bytes, 0), 18);
		};
		for (const b of blocksIn(map, from, from + width * bytes)) {
			bar("#15233a", b.start, b.at);
			bar("#3b78c2", b.at, b.at + b.asked);
			bar("#eda43b", b.at + b.asked, b.end);
			bar("#ffffff", b.end - 2, b.end);
		}
		to.fillStyle = "#b3261e";
		to.fillRect((middle - from) / bytes, 0, 1, 4);
		to.fillRect((middle - from) / bytes, 14, 1, 4);
		return canvas;
	}

	function describe(map, place) {
		const from = Math.floor(place / map.bytes) * map.bytes;
		const found = blocksIn(map, from, from + map.bytes);
		const middle = from + map.bytes / 2;
		const block = found.find((b) => b.start <= middle && middle < b.end) || found[0];
		const tip = $("tip");
		delete tip.dataset.address;
		if (!block) {
			const there = hasPage(map, toAddress(map, from));
			tip.dataset.kind = there ? "free" : "none";
			return [element("b", {}, there ? "free, or the heap’s own" : "no page here"),
				element("dl", {}, element("dt", {}, "address"), element("dd", {}, hex(toAddress(map, from))))];
		}
		const born = map.births.born[block.i];
		const address = map.heap.blocks.unit[block.i] * UNIT;
		tip.dataset.kind = "block";
		tip.dataset.address = address;
		tip.dataset.asked = block.asked;
		tip.dataset.age = map.sample.op - born;
		const rows = [
			["address", hex(address)],
			["usable", size(block.end - block.at)],
			["header", size(map.heap.memory.header)],
			["age", `${count(map.sample.op - born)} operations, since ${count(born)}`],
		];
		const more = found.length > 1 ? `, and ${count(found.length - 1)} more in this pixel` : "";
		return [element("b", {}, `block of ${size(block.asked)}${more}`),
			element("dl", {}, ...rows.flatMap(([k, v]) => [element("dt", {}, k), element("dd", {}, v)]))];
	}

	function point(map, event) {
		const box = map.canvas.getBoundingClientRect();
		const x = Math.floor(((event.clientX - box.left) / box.width) * map.width);
		const row = Math.floor(((event.clientY - box.top) / box.height) * map.rows);
		const place = (Math.min(row, map.rows - 1) * map.width + x) * map.bytes;
		const tip = $("tip");
		if (x < 0 || x >= map.width || row < 0 || place >= map.total) {
			tip.hidden = true;
			return;
		}
		tip.replaceChildren(...describe(map, place), magnify(map, place + map.bytes / 2),
			element("small", {}, `${size(276 * UNIT)} around it`));
		tip.hidden = false;
		const left = event.clientX + 18 + tip.offsetWidth > innerWidth
			? event.clientX - 18 - tip.offsetWidth : event.clientX + 18;
		const top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8);
		tip.style.left = Math.max(4, left) + "px";
		tip.style.top = Math.max(4, top) + "px";
	}

	// -------- moving through time --------

	let maps = [];

	function move(step) {
		now = Math.max(0, Math.min(steps - 1, step));
		$("slider").value = now;
		$("now").textContent = data.adaptive
			? `${fixed(xs[now], 0)} % of each workload`
			: `after operation ${count(opAt(now) + 1)} of ${count(heaps[0].work.operations)}`;
		$("tip").hidden = true;
		for (const map of maps) {
			paint(map, sampleAt(map.heap, now));
			caption(map);
		}
		for (const p of plots) {
			p.redraw(false, false);
		}
	}

	function play() {
		const button = $("play");
		let timer = null;
		const stop = () => {
			clearInterval(timer);
			timer = null;
			button.innerHTML = "&#9654;";
		};
		button.onclick = () => {
			if (timer !== null) {
				stop();
				return;
			}
			button.innerHTML = "&#10073;&#10073;";
			move(now === steps - 1 ? 0 : now);
			timer = setInterval(() => {
				move(now + 1);
				if (now === steps - 1) {
					stop();
				}
			}, 120);
		};
	}

	function nearestPeak() {
		const peak = heaps[0].memory.peak.op;
		const at = heaps[0].samples.findIndex((s) => s.op >= peak);
		return at < 0 ? steps - 1 : at;
	}

	showHead();
	showTable();
	showPlots();
	maps = heaps.map(makeMap);
	$("slider").max = steps - 1;
	$("slider").oninput = () => move(Number($("slider").value));
	play();
	move(nearestPeak());
	let resizing = 0;
	addEventListener("resize", () => {
		cancelAnimationFrame(resizing);
		resizing = requestAnimationFrame(() => {
			for (const p of plots) {
				p.setSize({ width: $(p.lab.id).clientWidth, height: p.lab.height });
			}
			move(now);
		});
	});
})();
