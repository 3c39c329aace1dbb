#!/usr/bin/env python3
"""test_page.py EPSKEW: opens the report page in headless Chromium and checks what a reader gets.

Exits 77, which ctest counts as skipped, where no Chromium is installed.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import chromium

HERE = pathlib.Path(__file__).resolve().parent
COUNTS = HERE.parent / "fit" / "counts.csv"
EPSKEW = ""
WEIGHT_LIMIT = 1_500_000
READABLE_CONTRAST = 4.5  # WCAG 2 AA for body text

# What the page shows of one figure, after the selects have chosen rows.
FIGURES = """
[...document.querySelectorAll('figure[data-plot]')].map((figure) => {
  const count = (selector) => figure.querySelectorAll('.plots ' + selector).length;
  const table = figure.querySelector('details table');
  const columns = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const chosen = [...figure.querySelectorAll('select')].map((s) => [columns.indexOf(s.dataset.column), s.value]);
  const rows = [...table.tBodies[0].rows].filter((row) => chosen.every(([i, v]) => row.cells[i].textContent === v));
  return {
    id: figure.id, kind: JSON.parse(figure.dataset.plot).kind, columns: columns.length, rows: rows.length,
    views: count('.view'), svgs: count('svg'), rects: count('.mark-rect.role-mark > path'),
    symbols: count('.mark-symbol.role-mark > path'), lines: count('.mark-line.role-mark > path'),
    texts: count('.mark-text.role-mark > text'),
    areas: count('.mark-area.role-mark > path'),
    unnamed: [...figure.querySelectorAll('.view')].filter((v) => !v.getAttribute('aria-label')).length,
    broken: [...figure.querySelectorAll('.plots path')].filter((p) => /NaN|undefined/.test(p.getAttribute('d'))).length,
  };
})
"""

SOURCES = """
[...document.querySelectorAll('[data-s]')].map((node) =>
  [node.dataset.s, node.dataset.v === undefined ? node.getAttribute('value') : node.dataset.v, node.textContent])
"""

CONTRASTS = """
(() => {
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = (css) => { const [r, g, b] = css.match(/[0-9.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll('h1, p, h4, summary, td, th, dt, nav a, caption')].map((node) => {
    const ink = light(getComputedStyle(node).color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  });
})()
"""


def resolve(document, pointer):
    for part in pointer.split("/")[1:]:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def rounded_like(value, text):
    """`value` with as many decimals as `text` shows."""
    return f"{value:.{len(text.partition('.')[2])}f}"


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(cls.folder.name)
        cls.results = [folder / "one.json", folder / "two.json"]
        for seed, path in enumerate(cls.results):
            subprocess.run([sys.executable, HERE / "sample_result.py", path, "--seed", str(seed)], check=True)
        cls.single, cls.overlay = folder / "single.html", folder / "overlay.html"
        subprocess.run([EPSKEW, "report", cls.results[0], "-o", cls.single], check=True)
        subprocess.run([EPSKEW, "report", *cls.results, "-o", cls.overlay], check=True)
        cls.fit = folder / "fit.html"
        subprocess.run([EPSKEW, "fit", COUNTS, "--layers", "0,3,5", "--bootstrap", "0", "--html", cls.fit], check=True,
                       stdout=subprocess.DEVNULL)
        cls.browser = chromium.Chromium()

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()
        cls.folder.cleanup()

    def test_loads_without_complaint_and_fetches_nothing(self):
        for path in (self.single, self.overlay):
            page = self.browser.open(path)

            self.assertEqual(page.complaints(), [])
            self.assertEqual(page.requests(), [path.resolve().as_uri()])

    def test_every_plot_has_the_marks_of_its_table(self):
        for path in (self.single, self.overlay):
            figures = self.browser.open(path).evaluate(FIGURES)

            self.assertEqual(len(figures), 9)
            for figure in figures:
                with self.subTest(page=path.name, figure=figure["id"]):
                    self.check_marks(figure)

    def test_kernels_lie_beside_calls_and_a_result_without_them_has_no_such_plot(self):
        old = pathlib.Path(self.folder.name) / "old.json"
        page = old.with_suffix(".html")
        subprocess.run([sys.executable, HERE / "sample_result.py", old, "--no-kernels"], check=True)
        subprocess.run([EPSKEW, "report", self.results[0], old, "-o", page], check=True)
        subprocess.run([EPSKEW, "report", old, "-o", old.with_suffix(".alone.html")], check=True)
        shown = "[...new Set([...document.querySelectorAll('#kernel-plot tbody tr')].map((r) => r.cells[0].textContent))]"
        captions = "[...document.querySelectorAll('#tables caption')].map((c) => c.textContent.split(':')[0])"

        alone = self.browser.open(old.with_suffix(".alone.html"))
        figures = [figure["id"] for figure in alone.evaluate(FIGURES)]
        in_tables = alone.evaluate(captions)
        mixed = self.browser.open(page)

        self.assertEqual(mixed.evaluate(shown), ["one, kernels", "one, calls", "old, calls"])
        self.assertIn("Kernels alone, microseconds", mixed.evaluate(captions))
        self.assertNotIn("kernel-plot", figures)
        self.assertNotIn("Kernels alone, microseconds", in_tables)

    def test_the_page_of_a_fit_draws_every_load_and_every_family(self):
        page = self.browser.open(self.fit)
        figures = {figure["id"]: figure for figure in page.evaluate(FIGURES)}

        self.assertEqual(page.complaints(), [])
        for name in ("pooled-plot", "layer-plot", "family-plot"):
            self.check_marks(figures[name])
        # Four levels, experts and 8, 16 and 32 ranks, times ten families; three layers times the best four.
        self.assertEqual(figures["pooled-plot"]["lines"], 4 * 10)
        self.assertEqual(figures["layer-plot"]["lines"], 3 * 4)
        self.assertEqual(figures["pooling-plot"]["lines"], 2)

    def check_marks(self, figure):
        self.assertGreater(figure["rows"], 0)
        self.assertEqual(figure["svgs"], figure["views"])
        self.assertEqual(figure["unnamed"], 0)
        self.assertEqual(figure["broken"], 0)
        if figure["kind"] == "bars":
            # Each label is drawn twice, first as a halo.
            self.assertEqual((figure["rects"], figure["texts"]), (figure["rows"], 2 * figure["rows"]))
        elif figure["kind"] == "sorted":
            self.assertEqual(figure["rects"], figure["rows"])
        elif figure["kind"] == "heat":
            self.assertEqual(figure["rects"], figure["rows"] * 8)
        elif figure["kind"] == "box":
            self.assertEqual(figure["rects"], 2 * figure["rows"])
        elif figure["id"] == "kernel-plot":
            self.assertEqual(figure["symbols"], figure["rows"])
        elif figure["id"] == "latency-plot":
            self.assertEqual(figure["symbols"], figure["rows"])
            self.assertEqual(figure["areas"], figure["lines"])
        else:
            self.assertEqual(figure["lines"], 3 * 4)  # phases x rounds

    def test_numbers_in_text_are_those_of_the_result_file(self):
        documents = [json.loads(path.read_text()) for path in self.results]

        sources = self.browser.open(self.overlay).evaluate(SOURCES)

        self.assertGreater(len(sources), 500)
        for source, exact, text in sources:
            result, _, pointer = source.partition(":")
            value = resolve(documents[int(result)], pointer)
            self.assertEqual(float(exact), value, source)
            self.assertEqual(float(text), float(rounded_like(value, text)), source)

    def test_the_headline_says_what_the_hottest_round_costs(self):
        cost = json.loads(self.results[0].read_text())["rounds"][3]["cost_of_imbalance"]

        headline = self.browser.open(self.single).evaluate("document.querySelector('h1').textContent")

        self.assertEqual(headline, "At imbalance factor 3.0, dispatch + combine takes "
                         f"{cost['ratio']:.2f}× ({cost['low']:.2f}–{cost['high']:.2f}) as long as balanced; "
                         "rank 4 sets the pace")

    def changed(self, result, change):
        """A page of both results, of which one was changed; without complaints."""
        record = json.loads(self.results[result].read_text())
        change(record)
        path = pathlib.Path(self.folder.name) / self.results[result].name.replace(".", "-changed.")
        path.write_text(json.dumps(record))
        files = [path if file == self.results[result] else file for file in self.results]
        page = path.with_suffix(".html")
        subprocess.run([EPSKEW, "report", *files, "-o", page], check=True)
        opened = self.browser.open(page)
        self.assertEqual(opened.complaints(), [])
        return opened

    def test_bars_are_seen_beside_an_interval_that_knows_nothing(self):
        def widen(record):
            record["rounds"][3]["cost_of_imbalance"]["phases"]["combine"] |= {"low": 1e-6, "high": 1e6}

        page = self.changed(0, widen)

        widths = page.evaluate("[...document.querySelectorAll('#cost-plot .mark-rect.role-mark > path')]"
                               ".map((bar) => bar.getBoundingClientRect().width)")
        arrows = page.evaluate("[...document.querySelectorAll('#cost-plot .mark-symbol.role-mark > path')]"
                               ".filter((arrow) => arrow.getAttribute('opacity') !== '0').length")
        self.assertGreater(min(widths), 20)
        self.assertEqual(arrows, 1)

    def test_a_result_keeps_its_place_where_another_was_measured_in_more_phases(self):
        def drop_pairs(record):
            for entry in record["rounds"]:
                entry["timing"]["dispatch_combine"] = entry["cost_of_imbalance"] = None
                for quantity in ("send_logical", "hot_receive", "wire"):
                    entry["bandwidth"][quantity]["dispatch_combine"]["gb_per_s"] = None

        page = self.changed(0, drop_pairs)

        legends = page.evaluate("['latency', 'bandwidth'].map((id) => [...document.querySelectorAll("
                                "`#${id}-plot .legend li`)].map((item) => item.textContent.trim()))")
        for legend in legends:
            self.assertEqual(legend, ["one-changed", "two"])
        # A list begins with what both were measured in.
        self.assertNotEqual(page.evaluate("document.querySelector('#bandwidth-plot select').value"), "dispatch + combine")

    # Regression: the names of lines that lie beside each other were written over one another.
    def test_lines_beside_each_other_have_one_name(self):
        def lift(record):
            for entry in record["rounds"]:
                entry["workload"]["uniform_floor"] += 0.05

        page = self.changed(0, lift)

        names = page.evaluate("[...document.querySelectorAll('#latency-plot .mark-text text')]"
                              ".filter((text) => text.textContent === 'uniform floor').length")
        self.assertEqual(names, 3)

    def test_a_select_chooses_what_is_drawn(self):
        page = self.browser.open(self.single)
        drawing = "document.querySelector('#rank-plot .plots').innerHTML"
        before = page.evaluate(drawing)

        page.evaluate("(() => { const s = document.querySelector('#rank-plot select'); s.value = 'combine';"
                      "s.dispatchEvent(new Event('change')); })()")
        page.evaluate("new Promise((done) => setTimeout(done, 200))")

        self.assertNotEqual(page.evaluate(drawing), before)
        self.check_marks(next(f for f in page.evaluate(FIGURES) if f["id"] == "rank-plot"))
        self.assertEqual(page.complaints(), [])

    def test_everything_that_can_be_used_is_reached_by_tab(self):
        page = self.browser.open(self.single)
        page.evaluate("[...document.querySelectorAll('details')].forEach((d) => { d.open = true; })")
        wanted = page.evaluate("document.querySelectorAll('a, select, summary, .scroll').length")
        seen = []

        for _ in range(wanted):
            page.press("Tab", virtual_key=9)
            seen.append(page.evaluate("(() => { const e = document.activeElement; e.dataset.seen = '1';"
                                      "return e.className + ' ' + e.tagName; })()"))

        self.assertEqual(seen[0], "skip A")
        self.assertEqual(page.evaluate("document.querySelectorAll('[data-seen]').length"), wanted)

    def test_fits_a_phone_and_a_laptop(self):
        for width in (390, 1440):
            page = self.browser.open(self.overlay, width=width)

            self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), width)
            widest = page.evaluate("Math.max(...[...document.querySelectorAll('.view svg')]"
                                   ".map((s) => s.getBoundingClientRect().right))")
            self.assertLessEqual(widest, width)

    def test_plots_follow_the_width_of_the_window(self):
        page = self.browser.open(self.single, width=1440)
        width = "document.querySelector('#rank-plot svg').getBoundingClientRect().width"
        wide = page.evaluate(width)

        page.send("Emulation.setDeviceMetricsOverride", width=500, height=800, deviceScaleFactor=1, mobile=False)
        page.evaluate("new Promise((done) => setTimeout(done, 600))")

        self.assertNotEqual(page.evaluate(width), wide)
        self.assertLessEqual(page.evaluate(width), 500)

    def test_text_is_readable_in_light_and_dark(self):
        backgrounds = set()
        for dark in (False, True):
            page = self.browser.open(self.single, dark=dark)

            self.assertGreaterEqual(min(page.evaluate(CONTRASTS)), READABLE_CONTRAST)
            backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        self.assertEqual(len(backgrounds), 2)

    def test_is_light_enough_to_mail(self):
        self.assertLess(self.single.stat().st_size, WEIGHT_LIMIT)

    def test_text_of_a_result_file_stays_text(self):
        page = self.browser.open(self.single)

        command = page.evaluate("document.querySelector('pre').textContent")

        self.assertIn("'it'\\''s </script> here.json'", command)


if __name__ == "__main__":
    EPSKEW = sys.argv.pop(1)
    if chromium.find() is None:
        print("skipped: no Chromium here (install the Debian package chromium)")
        sys.exit(77)
    unittest.main()
