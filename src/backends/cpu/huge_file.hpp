#pragma once

/// Files of nothing but memory whose pages are as large as the kernel gives them (2 MB on x86).
///
/// A row of 14 KB crosses four small pages: each crossing costs a page walk and stops the hardware's
/// prefetching. memfd files get large pages only where an administrator allows it (shmem_enabled); a tmpfs of
/// one's own, mounted nowhere, may ask for them.

#include <string>

namespace epskew::cpu {

/// An open, unnamed file of size 0 on such a tmpfs, or -1 where there is none (see huge_files_missing()).
/// Parts of a file that do not fill a large page have small ones, as does everything once memory is too
/// fragmented.
int open_huge_file();

/// Why open_huge_file() returns -1 here; empty if it does not.
const std::string& huge_files_missing();

}  // namespace epskew::cpu
