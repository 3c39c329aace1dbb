#pragma once

/// The safetensors container: 8 bytes header length (little-endian), a JSON header, then the tensors' bytes.
/// Format: huggingface/safetensors, README.md, section "Format".

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "epskew/support/output_file.hpp"
#include "epskew/support/tensor.hpp"

namespace epskew {

/// A parsed file. Owns the bytes that its tensors view; movable, and the views stay good.
class SafeTensors {
 public:
  /// Throws UsageError, starting with `name`, unless `bytes` is a whole and valid file: header of at most 100
  /// MB, known dtypes, offsets that agree with shapes and cover the data without gap or overlap.
  SafeTensors(std::string bytes, std::string name);

  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  /// The strings under "__metadata__".
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Throws UsageError naming the file and the tensor that it lacks.
  const TensorView& at(const std::string& tensor) const;
  const std::string& name() const { return name_; }

 private:
  // On the heap, because moving a short std::string would move the bytes from under the views.
  std::vector<char> bytes_;
  std::string name_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Whether `bytes` begins as a safetensors file does.
bool looks_like_safetensors(std::string_view bytes);

/// Writes whole or not at all (see OutputFile). Deterministic: tensors and metadata in the order of their
/// names. their names.
void write_safetensors(const OutputFile& file, const std::map<std::string, TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace epskew
