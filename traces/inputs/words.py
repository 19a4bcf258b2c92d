# SPDX-License-Identifier: MIT
"""Counts made-up words, builds a tree of them and a table of neighbours."""
import collections
import json

state = 7


def random(n):
    global state
    state = (state * 1103515245 + 12345) % (1 << 31)
    return (state >> 16) % n


SYLLABLES = ["ka", "lo", "mi", "ra", "tu", "ne", "so", "vi", "pe", "du"]
text = " ".join(
    "".join(SYLLABLES[random(10)] for _ in range(1 + random(4)))
    for _ in range(6000)
)
words = text.split()
counts = collections.Counter(words)
tree = {}
for word in words:
    node = tree
    for letter in word:
        node = node.setdefault(letter, {})
    node["end"] = node.get("end", 0) + 1
neighbours = collections.defaultdict(list)
for left, right in zip(words, words[1:]):
    neighbours[left].append(right)
longest = sorted(neighbours.items(), key=lambda item: (-len(item[1]), item[0]))
dumped = json.dumps({"counts": counts, "tree": tree})
again = json.loads(dumped)
print(len(counts), len(longest[0][1]), len(dumped), again["counts"] == dict(counts))
