// Renders the sample record in every output format: golden_render FOLDER.
#include <cstdio>
#include <filesystem>

#include "epskew/report/csv.hpp"
#include "epskew/report/json.hpp"
#include "epskew/report/tables.hpp"
#include "epskew/support/output_file.hpp"
#include "unit/report/sample_record.hpp"

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
  return 0;
}
