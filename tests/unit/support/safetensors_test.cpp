#include "epskew/support/safetensors.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "helpers/temp_folder.hpp"

namespace epskew {
namespace {

TEST(SafeTensors, GivesBackWhatWasWritten) {
  const test::TempFolder folder;
  const std::string file = (folder.path() / "t.safetensors").string();

  rc::check([&](const std::map<std::string, std::vector<std::uint8_t>>& arrays,
                const std::map<std::string, std::uint8_t>& words) {
    std::map<std::string, TensorView> tensors;
    std::map<std::string, std::string> metadata;
    // Names as text: JSON holds UTF-8 only, and one name is taken.
    const auto text = [](const std::string& raw) {
      std::string name = "n";
      for (const char c : raw) name += std::to_string(static_cast<int>(c)) + " ";
      return name;
    };
    for (const auto& [name, bytes] : arrays) {
      tensors[text(name)] = {DType::u8,
                             {static_cast<std::int64_t>(bytes.size())},
                             {reinterpret_cast<const char*>(bytes.data()), bytes.size()}};
    }
    for (const auto& [name, value] : words) metadata[text(name)] = std::to_string(value) + "\"\\\n";

    write_safetensors(OutputFile("-o", file), tensors, metadata);
    const SafeTensors read(test::slurp(file), file);

    RC_ASSERT(read.metadata() == metadata);
    RC_ASSERT(read.tensors().size() == tensors.size());
    for (const auto& [name, tensor] : tensors) {
      RC_ASSERT(read.at(name).bytes == tensor.bytes);
      RC_ASSERT(read.at(name).shape == tensor.shape);
      RC_ASSERT(read.at(name).dtype == tensor.dtype);
    }
  });
}

TEST(SafeTensors, ViewsStayGoodWhenTheFileIsMoved) {
  const test::TempFolder folder;
  const std::string file = (folder.path() / "t.safetensors").string();
  write_safetensors(OutputFile("-o", file), {{"a", {DType::u8, {1}, "x"}}}, {});
  SafeTensors first(test::slurp(file), file);

  const SafeTensors second = std::move(first);

  EXPECT_EQ(second.at("a").bytes, "x");
}

}  // namespace
}  // namespace epskew
