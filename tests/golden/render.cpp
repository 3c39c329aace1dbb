// Renders the sample record in every output format: golden_render FOLDER.
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "epskew/report/csv.hpp"
#include "epskew/report/html.hpp"
#include "epskew/report/json.hpp"
#include "epskew/report/tables.hpp"
#include "epskew/support/output_file.hpp"
#include "unit/report/sample_record.hpp"

namespace {

/// A page without its style and scripts, which are not data.
std::string without_assets(std::string page) {
  for (const std::string tag : {"style", "script"}) {
    std::size_t begin = 0;
    while ((begin = page.find("<" + tag + ">", begin)) != std::string::npos) {
      begin += tag.size() + 2;
      page.erase(begin, page.find("</" + tag + ">", begin) - begin);
    }
  }
  return page;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: golden_render FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  const epskew::Record record = epskew::test::sample_record();
  const auto write = [&](const char* name, const std::string& text) {
    epskew::OutputFile("golden", (folder / name).string()).write(text);
  };
  write("sample.json", epskew::to_json(record));
  write("sample.csv", epskew::to_csv(record));
  write("sample.txt", epskew::describe_run(record) + epskew::describe_ranks(record.rounds.front()) +
                          epskew::describe_round(record.rounds.back()) + epskew::tables(record));
  write("sample.html",
        without_assets(epskew::report_page(std::vector{epskew::NamedRecord{"sample", record}})));
  return 0;
}
