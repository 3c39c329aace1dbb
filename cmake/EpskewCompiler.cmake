# One INTERFACE target carries the language level, warnings, determinism and sanitizer flags of our own code.
add_library(epskew_compiler INTERFACE)
target_compile_features(epskew_compiler INTERFACE cxx_std_20)
# No contraction: a*b+c must round the same on every compiler, or routing digests would differ between machines.
target_compile_options(epskew_compiler INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wconversion;-Wno-sign-conversion;-ffp-contract=off>)
if(EPSKEW_CONTRACTS)
  target_compile_definitions(epskew_compiler INTERFACE EPSKEW_CONTRACTS=1)
endif()
if(EPSKEW_STATIC_LIBRARIES)
  target_link_options(epskew_compiler INTERFACE -static-libstdc++ -Wl,--gc-sections)
endif()
if(EPSKEW_SANITIZE)
  target_compile_options(epskew_compiler INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${EPSKEW_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=all>)
  target_link_options(epskew_compiler INTERFACE -fsanitize=${EPSKEW_SANITIZE})
endif()
find_program(EPSKEW_CCACHE ccache)
if(EPSKEW_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${EPSKEW_CCACHE})
endif()
