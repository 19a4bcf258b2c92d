# SPDX-License-Identifier: MIT
"""Drives the laboratory's page in headless Chromium, and compares what it
shows with the JSON behind it.  TAP on standard output.

usage: page_test.py PAGE JSON SCRATCH
"""
import json
import math
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../tools/page"))
from browser import KEYS, Browser  # noqa: E402

ROWS = 26

number = 0
failed = 0


def ok(good, title, *details):
    global number, failed
    number += 1
    print("%s %d - %s" % ("ok" if good else "not ok", number, title))
    if not good:
        failed += 1
        for detail in details:
            print("# %s" % (detail,))
    sys.stdout.flush()


class Map:
    """Where a heap's blocks are in its picture, from the JSON alone."""

    def __init__(self, data, heap, width):
        births = heap.get("births") or data["births"]
        at = 0
        self.born = []
        for difference in births["born_after"]:
            at += difference
            self.born.append(at)
        self.asked = births["asked"]
        self.died = [
            b + life if life >= 0 else math.inf
            for b, life in zip(self.born, births["life"])
        ]
        for birth, died in heap["blocks"]["late"]:
            self.died[birth] = died if died >= 0 else math.inf
        self.heap = heap
        pages = set()
        for sample in heap["samples"]:
            runs = sample["pages"]
            for start, size in zip(runs[::2], runs[1::2]):
                pages.update(range(start // 4096, (start + size) // 4096))
        self.place = {page: i * 4096 for i, page in enumerate(sorted(pages))}
        self.total = len(pages) * 4096
        self.width = width
        self.bytes = max(16, math.ceil(self.total / (width * ROWS) / 16) * 16)

    def live(self, op):
        unit = self.heap["blocks"]["unit"]
        return [
            i
            for i in range(len(self.born))
            if self.born[i] <= op < self.died[i] and unit[i] >= 0
        ]

    def pixel(self, address):
        place = self.place[address // 4096] + address % 4096
        index = place // self.bytes
        return index % self.width, index // self.width


def check_static(text, shown, behind):
    ok(json.loads(shown) == behind, "the page holds the JSON of the same run")
    rest = text.replace(shown, "")
    outside = re.findall(r"""(?:src|href)\s*=\s*["'][^"']+|@import|url\([^)]*\)""", rest)
    ok(not outside, "the page refers to nothing outside itself", outside)
    ok("default-src 'none'" in rest, "the page forbids itself the network")
    ok(
        "The MIT License (MIT)" in rest and "Leon Sorokin" in rest,
        "the plotting library's licence is in the page",
    )


def grouped(value, digits=0):
    return "{:,.{}f}".format(value, digits)


def check_table(browser, data):
    rows = browser.run(
        "return [...document.querySelectorAll('#table tbody tr')].map(row => ({"
        "name: row.dataset.heap, cells: Object.fromEntries([...row.querySelectorAll('td')]"
        ".map(td => [td.dataset.column, [td.dataset.value, td.textContent]]))}))"
    )
    names = [heap["name"] for heap in data["heaps"]]
    ok([row["name"] for row in rows] == names, "the table has a row for each heap", rows)
    wrong = []
    for row, heap in zip(rows, data["heaps"]):
        time, memory = heap["time"], heap["memory"]
        cells = row["cells"]
        expected = {
            "time": (time["ns"], grouped(time["ns"], 1)),
            "of TLSF’s": (time["ratio"], grouped(time["ratio"], 2)),
            "worst": (time["worst_ns"], grouped(time["worst_ns"])),
            "internal": (memory["internal"], grouped(memory["internal"] * 100, 1) + " %"),
            "failed": (memory["failed"], grouped(memory["failed"])),
        }
        if memory["overhead"]:
            expected["peak"] = (memory["overhead"], grouped(memory["overhead"], 3))
        for column, (value, text) in expected.items():
            have = cells[column]
            # Halves may be rounded either way.
            near = abs(float(re.sub("[^0-9.]", "", have[1])) - float(re.sub("[^0-9.]", "", text)))
            if float(have[0]) != value or near > 0.11:
                wrong.append((heap["name"], column, have, value, text))
    ok(not wrong, "the table shows the JSON's figures", *wrong)
    browser.run("document.querySelector('#table thead th:nth-child(2)').click()")
    order = browser.run(
        "return [...document.querySelectorAll('#table tbody tr')].map(row => row.dataset.heap)"
    )
    by_time = sorted(data["heaps"], key=lambda heap: heap["time"]["ns"])
    ok(order == [heap["name"] for heap in by_time], "a click on a column sorts by it", order)


def captions(browser):
    return browser.run(
        "return Object.fromEntries([...document.querySelectorAll('.map')].map(map => "
        "[map.querySelector('canvas').dataset.heap,"
        " [map.querySelector('p').textContent, map.querySelector('p').dataset.op]]))"
    )


def check_step(browser, data, step, title):
    now = int(browser.run("return document.getElementById('slider').value"))
    shown = captions(browser)
    wrong = [] if now == step else [("slider", now, step)]
    for heap in data["heaps"]:
        sample = heap["samples"][step]
        text, op = shown[heap["name"]]
        blocks = grouped(sample["blocks"]) + " blocks, "
        size = sample["asked"]
        unit = "bytes"
        for larger in ("KiB", "MiB"):
            if size >= 1024:
                size, unit = size / 1024, larger
        wanted = "%s %s live" % (grouped(size, 0 if unit == "bytes" else 1), unit)
        if int(op) != sample["op"] or not text.startswith(blocks) or wanted not in text:
            wrong.append((heap["name"], text, op, sample["op"], blocks + wanted))
    ok(not wrong, title, *wrong)


def check_slider(browser, data):
    count = len(data["heaps"][0]["samples"])
    peak = data["heaps"][0]["memory"]["peak"]["op"]
    first = next(i for i, s in enumerate(data["heaps"][0]["samples"]) if s["op"] >= peak)
    check_step(browser, data, first, "it opens where most bytes are live")
    browser.keys("#slider", KEYS["home"])
    check_step(browser, data, 0, "the slider's start shows the first sample of each heap")
    browser.keys("#slider", KEYS["right"] * 7)
    check_step(browser, data, 7, "seven steps on, each map shows the eighth")
    browser.keys("#slider", KEYS["end"] + KEYS["left"] * 2)
    check_step(browser, data, count - 3, "two steps before the end, likewise")
    text = browser.run("return document.getElementById('now').textContent")
    op = data["heaps"][0]["samples"][count - 3]["op"]
    ok(grouped(op + 1) in text, "and says after which operation", text)
    return count - 3


def box_of(browser, css):
    return browser.run(
        "const e = document.querySelector(arguments[0]); e.scrollIntoView({block: 'center'});"
        "const b = e.getBoundingClientRect();"
        "return {left: b.left, top: b.top, width: b.width, height: b.height, own: e.width}",
        css,
    )


def check_hover(browser, data, heap, step):
    css = 'canvas[data-heap="%s"]' % heap["name"]
    box = box_of(browser, css)
    picture = Map(data, heap, box["own"])
    op = heap["samples"][step]["op"]
    rows = math.ceil(picture.total / picture.bytes / picture.width)
    large = sorted(picture.live(op), key=lambda i: -picture.asked[i])[:40:8]
    wrong = []
    for i in large:
        address = heap["blocks"]["unit"][i] * 16
        x, row = picture.pixel(address + picture.asked[i] // 2)
        at_x = box["left"] + (x + 0.5) * box["width"] / picture.width
        at_y = box["top"] + (row + 0.5) * box["height"] / rows
        # Whole coordinates: go to the pixel's middle as nearly as can be.
        browser.point(at_x, at_y)
        tip = browser.run(
            "const t = document.getElementById('tip');"
            "return {hidden: t.hidden, text: t.innerText, ...t.dataset}"
        )
        colour = browser.run(
            "return [...document.querySelector(arguments[0]).getContext('2d')"
            ".getImageData(arguments[1], arguments[2], 1, 1).data]",
            css, x, row * 8 + 3,
        )
        expected = (address, picture.asked[i], op - picture.born[i])
        have = tuple(int(tip.get(k, -1)) for k in ("address", "asked", "age"))
        if tip["hidden"] or have != expected or "block of" not in tip["text"]:
            wrong.append(("shown", have, "expected", expected, tip))
        if picture.asked[i] >= 3 * picture.bytes and colour[:3] != [59, 120, 194]:
            wrong.append(("colour", colour, picture.asked[i], picture.bytes))
    ok(large and not wrong, "%s: pointing names block, size and age" % heap["name"], *wrong)


def check_plot(browser, data):
    box = box_of(browser, "#plot-footprint .u-over")
    browser.point(box["left"] + box["width"] * 0.5, box["top"] + box["height"] / 2, click=True)
    now = int(browser.run("return document.getElementById('slider').value"))
    samples = data["heaps"][0]["samples"]
    first, last = samples[0]["op"], samples[-1]["op"]
    middle = (first + last) / 2
    nearest = min(range(len(samples)), key=lambda i: abs(samples[i]["op"] - middle))
    ok(abs(now - nearest) <= 1, "a click into a plot moves the slider there", now, nearest)
    check_step(browser, data, now, "and the maps with it")
    lines = browser.run(
        "return [...document.querySelectorAll('#plot-footprint .u-legend .u-label')]"
        ".map(e => e.textContent)"
    )
    wanted = [heap["name"] for heap in data["heaps"]]
    ok(lines[-len(wanted):] == wanted, "the plot has a line for each heap", lines)


def check_resize(browser):
    widths = []
    for width in (1400, 760):
        browser.send("POST", "/window/rect", {"width": width, "height": 900})
        browser.run("return new Promise(done => setTimeout(done, 300))")
        widths.append(browser.run(
            "return [document.documentElement.scrollWidth <= innerWidth,"
            " document.querySelector('#plot-footprint canvas').clientWidth,"
            " document.querySelector('.map canvas').width]"
        ))
    ok(
        all(w[0] for w in widths) and widths[1][1] < widths[0][1],
        "plots follow the window, and nothing sticks out of it",
        widths,
    )


def check_quiet(browser):
    messages = browser.send("POST", "/se/log", {"type": "browser"})
    bad = [m["message"] for m in messages if m["level"] == "SEVERE"]
    ok(not bad, "the browser has nothing to complain about", *bad)
    events = browser.send("POST", "/se/log", {"type": "performance"})
    asked = [
        json.loads(e["message"])["message"]["params"]["request"]["url"]
        for e in events
        if "Network.requestWillBeSent\"" in e["message"]
    ]
    # The browser's own first tab, from its own files, came before the page.
    own = ("file:", "data:", "chrome:", "chrome-untrusted:", "about:")
    far = [url for url in asked if not url.startswith(own)]
    ok(not far, "opening it asked no network (%d requests)" % len(asked), *far)


def main():
    page, behind, scratch = sys.argv[1:]
    with open(behind, encoding="utf-8") as file:
        data = json.load(file)
    with open(page, encoding="utf-8") as file:
        text = file.read()
    shown = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', text, re.S
    ).group(1)
    check_static(text, shown, data)
    browser = Browser(scratch)
    try:
        browser.send("POST", "/url", {"url": "file://" + os.path.abspath(page)})
        check_table(browser, data)
        step = check_slider(browser, data)
        for heap in data["heaps"]:
            if heap["samples"][0]["pages"]:
                check_hover(browser, data, heap, step)
        check_plot(browser, data)
        check_resize(browser)
        check_quiet(browser)
    finally:
        browser.end()
    print("1..%d" % number)
    return failed != 0


sys.exit(main())
