#pragma once

/// What the device can do at best: rates and latencies that bound an exchange, each measured by a kernel that
/// does nothing else. All times are medians.

namespace epskew::roofline {

struct Floors {
  double hbm_copy_tbps = 0;      ///< read + write, 1 GiB to 1 GiB
  double hbm_read_tbps = 0;      ///< 1 GiB
  double hbm_write_tbps = 0;     ///< 1 GiB
  double l2_copy_tbps = 0;       ///< read + write, 8 MiB to 8 MiB, again and again
  double l2_write_tbps = 0;      ///< 8 MiB, again and again
  double small_read_us = 0;      ///< 14.7 MB from HBM, inside the kernel: what a rank's combine must read
  double small_write_us = 0;     ///< 7.6 MB, inside the kernel: what a rank's FP8 dispatch must write
  double cast_us = 0;            ///< 128 tokens of 7168 channels, bf16 to e4m3 with scales, inside the kernel
  double flag_round_us[3] = {};  ///< every rank tells every rank, 2, 8 and 16 ranks in one cooperative launch
  double launch_us = 0;          ///< an empty kernel between two events
  double launch_next_us = 0;     ///< what each further empty kernel in the stream adds
};

Floors measure_floors();

}  // namespace epskew::roofline
