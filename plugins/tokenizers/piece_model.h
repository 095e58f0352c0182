// A model of SentencePiece, out of reach of LibTorch.
//
// libsentencepiece and LibTorch both define FLAGS_minloglevel, as other things, and each has a protobuf of its own. In
// one process the later one would write over the first one's variables. So the library stands behind this interface in
// a shared library that the plugin opens with RTLD_DEEPBIND, which prefers its own definitions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace silc::tokenizers {

class PieceModel {
 public:
  virtual ~PieceModel() = default;

  [[nodiscard]] virtual int size() const = 0;
  // Ids of tokens; below 0 where the model has none.
  [[nodiscard]] virtual int start() const = 0;
  [[nodiscard]] virtual int end() const = 0;
  [[nodiscard]] virtual int padding() const = 0;

  // Fills `pieces` with ids of `text`, UTF-8; what is wrong, or nothing. For several threads at once.
  [[nodiscard]] virtual std::string encode(std::string_view text, std::vector<int>& pieces) const = 0;
};

inline constexpr const char* kPieceLibrary = "libsilc-sentencepiece.so";
inline constexpr const char* kOpenPieceModel = "silc_open_piece_model";

// Of the bytes of a .model file; null where they are no model, or damaged. The caller deletes it.
using OpenPieceModel = PieceModel* (*)(std::string_view bytes);

}  // namespace silc::tokenizers
