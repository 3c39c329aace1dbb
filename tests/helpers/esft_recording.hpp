#pragma once

/// A small recording as ESFT writes it, made at test time by a generator that shares nothing with the
/// readers.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "epskew/support/random.hpp"
#include "helpers/temp_folder.hpp"

namespace epskew::test {

/// Tokens of one layer, in order of recording.
struct RecordedLayer {
  std::vector<std::int32_t> ids;  ///< [tokens][topk]
  std::vector<float> weights;     ///< [tokens][topk], multiples of 1/64, so that their text is exact
};

class EsftRecording {
 public:
  static constexpr int num_experts = 64;
  static constexpr int topk = 6;
  static constexpr int num_tokens = 500;

  /// Layers 1, 2 and 10: by name the last comes second.
  EsftRecording() {
    for (const int layer : {1, 2, 10}) {
      layers_[layer] = make_layer(static_cast<std::uint64_t>(layer));
      folder_.write("expert_weights_" + std::to_string(layer) + ".txt", text_of(layers_[layer]));
    }
    folder_.write("README.md", "Files of other kinds may lie beside it.\n");
  }

  const std::filesystem::path& path() const { return folder_.path(); }
  const std::map<int, RecordedLayer>& layers() const { return layers_; }

  static std::vector<std::int64_t> counts_of(const RecordedLayer& layer) {
    std::vector<std::int64_t> counts(num_experts, 0);
    for (const std::int32_t id : layer.ids) ++counts[static_cast<std::size_t>(id)];
    return counts;
  }

 private:
  /// Low ids are popular: the smaller of two draws.
  static RecordedLayer make_layer(std::uint64_t seed) {
    RandomStream random(seed, 0x65736674);
    RecordedLayer layer;
    for (int token = 0; token < num_tokens; ++token) {
      std::vector<bool> taken(num_experts, false);
      for (int k = 0; k < topk;) {
        const std::uint32_t id = std::min(random.below(num_experts), random.below(num_experts));
        if (taken[id]) continue;
        taken[id] = true;
        layer.ids.push_back(static_cast<std::int32_t>(id));
        layer.weights.push_back(static_cast<float>(1 + random.below(64)) / 64);
        ++k;
      }
    }
    return layer;
  }

  /// Lines of one to four tokens: a sample is as long as it is.
  static std::string text_of(const RecordedLayer& layer) {
    std::ostringstream text;
    text.precision(9);
    for (std::size_t token = 0, line = 0; token < num_tokens; ++line) {
      const std::size_t end = std::min<std::size_t>(num_tokens, token + 1 + line % 4);
      for (std::size_t i = token * topk; i < end * topk; ++i) text << layer.ids[i] << '\t';
      for (std::size_t i = token * topk; i < end * topk; ++i) text << '\t' << layer.weights[i];
      text << '\n';
      token = end;
    }
    return text.str();
  }

  TempFolder folder_;
  std::map<int, RecordedLayer> layers_;
};

}  // namespace epskew::test
