// The conformance suite over several GPUs of one process: conformance_cuda_devices devices=0,1
// [VARIANT=VALUE]...

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "backends/cuda/device.hpp"
#include "conformance/backend_under_test.hpp"

namespace epskew::testing {
namespace {

std::map<std::string, std::string> chosen_variants;

/// Why these GPUs cannot be used here.
std::optional<std::string> missing(int named) {
  int there = 0;
  if (cudaGetDeviceCount(&there) == cudaSuccess && there >= named) return std::nullopt;
  return fmt::format("needs {} GPUs, {} are here", named, there);
}

}  // namespace

const Backend& backend_under_test() {
  return *find_backend("cuda");
}

std::optional<std::string> unfit(const ExchangeShape& shape) {
  const std::string& devices = chosen_variants.at("devices");
  const int named = 1 + static_cast<int>(std::count(devices.begin(), devices.end(), ','));
  if (shape.num_ranks < named) return fmt::format("{} ranks are too few for {} GPUs", shape.num_ranks, named);
  return missing(named);
}

std::map<std::string, std::string> variants_under_test() {
  return chosen_variants;
}

}  // namespace epskew::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string variant = argv[i];
    const auto equals = variant.find('=');
    if (equals == std::string::npos) {
      std::fprintf(stderr, "%s is no variant (name=value is expected)\n", argv[i]);
      return 2;
    }
    epskew::testing::chosen_variants[variant.substr(0, equals)] = variant.substr(equals + 1);
  }
  if (!epskew::testing::chosen_variants.contains("devices")) {
    std::fprintf(stderr, "which GPUs? devices=0,1\n");
    return 2;
  }
  return RUN_ALL_TESTS();
}
