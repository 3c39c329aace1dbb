// Renders the sample record in every output format: golden_render FOLDER.
#include <cstdio>
#include <filesystem>

#include "epskew/report/json.hpp"
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
  epskew::OutputFile("golden", (folder / "sample.json").string()).write(epskew::to_json(record));
  return 0;
}
