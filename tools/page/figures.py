# SPDX-License-Identifier: MIT
"""Measures the heaps and puts tables and pictures into docs/heaps.md.

usage: figures.py LOAM  (from the top of the tree; see `make heap-figures`)
"""
import json
import os
import subprocess
import sys
import tempfile

from browser import Browser

PAGE = "docs/heaps.md"
TRACES = ["lua", "sqlite3", "python3", "jq", "clang", "redis"]
ORDER = ["bestfit", "block", "list:first", "list:next", "list:best", "buddy", "pages",
    "tlsf", "slab", "glibc"]


def run(loam, scratch, *arguments):
    name = os.path.join(scratch, "data.json")
    subprocess.run(
        [loam, "lab", "--json", name, "--samples", "1", *arguments],
        check=True, stdout=subprocess.DEVNULL,
    )
    with open(name, encoding="utf-8") as file:
        heaps = json.load(file)["heaps"]
    return {heap["name"]: heap for heap in heaps if "not_run" not in heap}


def row(cells):
    return "| " + " | ".join(cells) + " |"


def number(value, digits):
    return "–" if not value else "{:,.{}f}".format(value, digits)


def reference(heaps):
    lines = [
        row(["heap", "ns", "of TLSF's", "worst, ns", "peak over live", "internal", "external"]),
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name in ORDER:
        time, memory = heaps[name]["time"], heaps[name]["memory"]
        lines.append(row([
            "`%s`" % name,
            number(time["ns"], 1),
            number(time["ratio"], 2),
            number(time["worst_ns"], 0),
            number(memory["overhead"], 3),
            "{:.1f} %".format(memory["internal"] * 100),
            "{:.1f} %".format(memory["external"] * 100),
        ]))
    return lines


def table(runs, show):
    lines = [
        row(["heap"] + list(runs)),
        "|---" + "|--:" * len(runs) + "|",
    ]
    for name in ORDER:
        cells = [show(heaps[name]) if name in heaps else "–" for heaps in runs.values()]
        lines.append(row(["`%s`" % name] + cells))
    return lines


def of_tlsf(heap):
    failed = heap["memory"]["failed"]
    share = 100 * failed / heap["work"]["allocs"]
    mark = " (%.1f %%)" % share if failed else ""
    return number(heap["time"]["ratio"], 2) + mark


def of_glibc(runs, name):
    """Rows of the same kind, with the C library's time for one."""
    cells = []
    for heaps in runs.values():
        cells.append(number(heaps[name]["time"]["ratio"] / heaps["glibc"]["time"]["ratio"], 2))
    return row(["`%s` of `glibc`'s" % name] + cells)


def over_live(heap):
    return number(heap["memory"]["overhead"], 2)


def fill_in(name, lines):
    """Puts lines between the marks <!-- name --> and <!-- end -->."""
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    mark = "<!-- %s -->\n" % name
    start = text.index(mark) + len(mark)
    end = text.index("<!-- end -->", start)
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(text[:start] + "\n".join(lines) + "\n" + text[end:])


def pictures(loam, scratch):
    runs = {
        "maps": ["--objects", "1500", "--pairs", "10000",
            "--heaps", "bestfit,block,list:first,list:next,tlsf,slab"],
        "phases": ["--workload", "phases",
            "--heaps", "bestfit,list:first,list:next,tlsf,slab,glibc"],
        "robson": ["--workload", "robson", "--objects", "5000",
            "--heaps", "bestfit,list:first,tlsf,slab"],
    }
    shown = {"maps": "#maps", "phases": ".plot.wide", "robson": ".plot.wide"}
    browser = Browser(scratch)
    try:
        browser.resize(1100, 2600)
        for name, arguments in runs.items():
            page = os.path.join(scratch, name + ".html")
            subprocess.run(
                [loam, "lab", "--html", page, "--rounds", "1", *arguments],
                check=True, stdout=subprocess.DEVNULL,
            )
            browser.send("POST", "/url", {"url": "file://" + page})
            browser.run(
                "document.querySelector('.stick').style.display = 'none';"
                "document.querySelector('#scale').style.display = 'none'"
            )
            browser.picture(shown[name], "docs/heaps/%s.png" % name)
    finally:
        browser.end()


def main():
    loam = sys.argv[1]
    with tempfile.TemporaryDirectory() as scratch:
        fill_in("reference", reference(run(loam, scratch, "--rounds", "15")))
        runs = {}
        for trace in TRACES:
            runs[trace] = run(loam, scratch, "--rounds", "21", "traces/%s.trace.xz" % trace)
        both = [of_glibc(runs, "tlsf"), of_glibc(runs, "slab")]
        fill_in("time", table(runs, of_tlsf) + both)
        fill_in("peak", table(runs, over_live))
        patterns = {}
        for name in ["uniform", "bimodal", "phases", "stack", "queue", "random", "robson"]:
            patterns[name] = run(loam, scratch, "--rounds", "3", "--workload", name)
        fill_in("patterns", table(patterns, over_live))
        pictures(loam, scratch)


main()
