# SPDX-License-Identifier: MIT
# Makes readings of sensors, groups them, and sums each group up.
[range(2500)
	| {id: ., sensor: "sensor-\(. % 60)", value: (. * 7919 % 1000 / 10),
		tags: [range(. % 4) | "tag-\(.)"]}]
| group_by(.sensor)
| map({sensor: .[0].sensor, count: length, mean: (map(.value) | add / length),
	tags: (map(.tags[]) | group_by(.) | map({(.[0]): length}) | add)})
| sort_by(-.mean)
| .[0:5]
