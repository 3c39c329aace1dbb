// What libhwy.so says of the processor, for a program that does not link it (EPSKEW_SELF_CONTAINED): Highway
// is otherwise all headers, and few distributions have the library.

#include <hwy/targets.h>

namespace hwy {
namespace {

#define EPSKEW_HAS(feature) (__builtin_cpu_supports(feature) != 0)

bool has_ssse3() {
  return EPSKEW_HAS("ssse3");
}
bool has_sse4() {
  return EPSKEW_HAS("sse4.1") && EPSKEW_HAS("sse4.2") && EPSKEW_HAS("aes") && EPSKEW_HAS("pclmul");
}
/// Every processor with AVX2 and FMA has F16C and LZCNT, which clang's builtin does not know.
bool has_avx2() {
  return EPSKEW_HAS("avx") && EPSKEW_HAS("avx2") && EPSKEW_HAS("fma") && EPSKEW_HAS("bmi") &&
         EPSKEW_HAS("bmi2");
}
bool has_avx3() {
  return EPSKEW_HAS("avx512f") && EPSKEW_HAS("avx512vl") && EPSKEW_HAS("avx512dq") &&
         EPSKEW_HAS("avx512bw") && EPSKEW_HAS("avx512cd");
}

#undef EPSKEW_HAS

}  // namespace

/// Each target needs the one below it, and its instructions are those that Highway compiles it with.
int64_t SupportedTargets() {
  __builtin_cpu_init();
  int64_t targets = HWY_EMU128 | HWY_SCALAR;
  if (!has_ssse3()) return targets;
  targets |= HWY_SSSE3;
  if (!has_sse4()) return targets;
  targets |= HWY_SSE4;
  if (!has_avx2()) return targets;
  targets |= HWY_AVX2;
  return has_avx3() ? targets | HWY_AVX3 : targets;
}

ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

}  // namespace hwy
