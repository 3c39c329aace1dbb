import unittest

from results import ResultTest


class ReportTest(ResultTest):
    def test_refuses_what_is_no_result_and_writes_nothing(self):
        for name, (path, words) in self.bad_results().items():
            with self.subTest(name):
                self.refuse(words, "report", self.good, path, "-o", self.folder / "page.html")

    def test_says_what_another_file_is_and_who_reads_it(self):
        self.refuse_other_files("report", None, "-o", self.folder / "page.html")

    def test_keeps_an_older_page_when_it_fails(self):
        page = self.write("page.html", "older")

        self.refuse("not a whole JSON file", "report", self.write("empty.json", ""), "-o", page)

        self.assertEqual(page.read_text(), "older")

    def test_replaces_no_input_and_takes_no_file_twice(self):
        victim = self.write("victim.json", self.good.read_text())
        link = self.folder / "link.json"
        link.symlink_to(victim)

        self.refuse("it is also an input", "report", victim, "-o", victim)
        self.refuse("it is also an input", "report", self.good, victim, "-o", link)
        self.refuse("is given twice", "report", victim, link, "-o", self.folder / "page.html")

        self.assertEqual(victim.read_text(), self.good.read_text())

    def test_looks_at_the_output_first(self):
        self.refuse("page.html", "report", self.folder / "missing.json", "-o", self.folder / "no" / "page.html")

    def test_needs_a_result_and_an_output(self):
        self.assertEqual(self.run_program("report", "-o", self.folder / "page.html").returncode, 2)
        self.assertEqual(self.run_program("report", self.good).returncode, 2)

    def test_writes_to_standard_output(self):
        page = self.succeed("report", self.good, "-o", "-").decode()

        self.assertTrue(page.startswith("<!doctype html>"))
        self.assertTrue(page.endswith("</html>\n"))

    def test_bench_writes_the_page_of_its_own_result(self):
        result, page, again = (self.folder / name for name in ("r.json", "r.html", "again.html"))

        self.succeed("bench", "--no-flush", "--num-processes", 2, "--num-tokens", 8, "--hidden", 128, "--num-experts", 8,
                     "--num-topk", 2, "--num-masked", 0, "--iterations", 5, "--warmup", 1, "--imbalance-factors", "1.5",
                     "--json", result, "--html", page)
        self.succeed("report", result, "-o", again)

        def headline(path):
            return path.read_text().partition("<h1>")[2].partition("</h1>")[0]
        self.assertIn("1.5", headline(page))
        self.assertEqual(headline(page), headline(again))


if __name__ == "__main__":
    unittest.main()
