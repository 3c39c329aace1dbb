#pragma once

/// Where results go, checked before the run and written whole or not at all.

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace epskew {

/// A file that will be written at the end of a run, or standard output for "-".
///
/// The bytes go to a temporary file beside the target, which then takes the target's name: nobody sees half
/// a file, and an existing file stays as it was until then.
class OutputFile {
 public:
  /// Throws UsageError, naming `flag`, where `target` is empty, a folder, in a folder that does not exist or
  /// cannot be written. Leaves nothing behind.
  OutputFile(const std::string& flag, const std::string& target);

  bool is_stdout() const { return is_stdout_; }
  /// Throws EnvironmentError where the disk refuses; then no temporary file is left.
  void write(std::string_view text) const;
  /// The same for `parts`, one after the other.
  void write(std::span<const std::string_view> parts) const;

 private:
  std::filesystem::path target_;
  bool is_stdout_ = false;
};

}  // namespace epskew
