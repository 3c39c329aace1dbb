#pragma once

/// Where results go, checked before the run and written whole or not at all.

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace epskew {

/// A file that will be written at the end of a run, or standard output for "-".
///
/// The bytes go to a temporary file beside the target, which then takes the target's name: nobody sees half
/// a file, and an existing file stays as it was until then. A new file takes the permissions of the one it
/// replaces.
class OutputFile {
 public:
  /// Throws UsageError, naming `flag`, where `target` is empty, a folder, in a folder that does not exist or
  /// cannot be written. Leaves nothing behind.
  OutputFile(const std::string& flag, const std::string& target);

  bool is_stdout() const { return is_stdout_; }
  /// The file behind the links of what was asked for; "-" for standard output.
  const std::filesystem::path& target() const { return target_; }
  const std::string& flag() const { return flag_; }
  /// Whether writing both would leave the bytes of one only, or run them into each other. Nobody misses what
  /// goes to /dev/null.
  bool is_same_place(const OutputFile& other) const;
  /// Throws EnvironmentError where the disk refuses; then no temporary file is left.
  void write(std::string_view text) const;
  /// The same for `parts`, one after the other.
  void write(std::span<const std::string_view> parts) const;

 private:
  std::string flag_;
  std::filesystem::path target_;
  bool is_stdout_ = false;
};

/// Throws UsageError where two of the files, of which unset ones are passed over, are the same place.
void require_distinct(std::initializer_list<const std::optional<OutputFile>*> files);

/// Throws UsageError, naming the flag, where one of the outputs, of which unset ones are passed over, is one of
/// the files that are read: it would be gone. An input that does not exist is none, and so is a device.
void refuse_to_replace(std::initializer_list<const std::optional<OutputFile>*> outputs,
                       std::span<const std::filesystem::path> inputs);

}  // namespace epskew
