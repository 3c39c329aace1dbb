// libFuzzer entry point (clang, -DEPSKEW_FUZZ=ON): the first byte chooses the reader, the rest is the file.

#include <cstddef>
#include <cstdint>
#include <string>

#include "fuzz/one_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto& names = epskew::test::reader_names;
  epskew::test::read_any(std::string(data + 1, data + size), names[data[0] % names.size()]);
  return 0;
}
