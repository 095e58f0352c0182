// Tokenizers as open_clip and transformers read them: CLIP's vocabulary by name or as vocab.json and merges.txt, models
// of SentencePiece as they are, and the rest as a tokenizer.json of the library `tokenizers`, where that gives silc's
// ids.
#include <fmt/format.h>

#include <algorithm>

#include "silc/error.h"
#include "tokens/bpe.h"
#include "weights/export_builder.h"

namespace silc {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kRemedy = "--without-tokenizer writes the model alone";

// What SentencePiece's models say of the tokens that are no text (sentencepiece_model.proto).
struct PieceTokens {
  std::vector<std::string> pieces;
  int64_t unknown = 0, start = 1, end = 2, padding = -1;  // the format's defaults
};

// A message of protocol buffers, field by field.
class ProtocolReader {
 public:
  explicit ProtocolReader(std::string_view bytes) : rest_(bytes) {}

  struct Field {
    uint64_t number = 0, value = 0;
    std::string_view bytes;
  };

  // False at the end, and where what follows is no field.
  bool next(Field& field) {
    if (rest_.empty()) return false;
    uint64_t key = 0;
    if (!varint(key)) return false;
    field = {.number = key >> 3, .value = 0, .bytes = {}};
    switch (key & 7) {
      case 0:
        return varint(field.value);
      case 1:
        return take(8, field.bytes);
      case 2:
        return varint(field.value) && take(field.value, field.bytes);
      case 5:
        return take(4, field.bytes);
      default:
        return false;
    }
  }

 private:
  bool varint(uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  bool take(uint64_t size, std::string_view& bytes) {
    if (size > rest_.size()) return false;
    bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_;
};

PieceTokens read_pieces(const std::filesystem::path& file) {
  const std::string bytes = read_packed(file);
  PieceTokens tokens;
  ProtocolReader model(bytes);
  for (ProtocolReader::Field field; model.next(field);) {
    ProtocolReader inner(field.bytes);
    ProtocolReader::Field part;
    if (field.number == 1) {
      std::string piece;
      while (inner.next(part))
        if (part.number == 1) piece = part.bytes;
      tokens.pieces.push_back(std::move(piece));
    }
    if (field.number == 2)
      while (inner.next(part)) {
        const auto id = static_cast<int64_t>(static_cast<int32_t>(part.value));
        if (part.number == 40) tokens.unknown = id;
        if (part.number == 41) tokens.start = id;
        if (part.number == 42) tokens.end = id;
        if (part.number == 43) tokens.padding = id;
      }
  }
  if (tokens.pieces.empty()) throw Error(file.string() + " is no model of SentencePiece, or damaged; get it anew");
  return tokens;
}

struct Chosen {
  std::string name;
  nlohmann::json options;
  [[nodiscard]] std::string option(const std::string& key, const std::string& standard) const {
    const auto found = options.find(key);
    return found == options.end() || !found->is_string() ? standard : found->get<std::string>();
  }
};

// Without a name where the settings have no tokenizer.
Chosen chosen_tokenizer(const ExportBuilder& builder) {
  const auto tokenizer = builder.setting<nlohmann::json>("text", "tokenizer", nlohmann::json::object());
  if (tokenizer.is_string()) return {tokenizer.get<std::string>(), nlohmann::json::object()};
  return {tokenizer.value("tokenizer", ""), tokenizer};
}

int64_t vocabulary_size(const ExportBuilder& builder) {
  return builder.shape("model.text.backbone.token_embedding.weight").at(0);
}

int64_t context_length(const ExportBuilder& builder) {
  return builder.shape("model.text.backbone.positional_embedding").at(0);
}

// SigLIP's, where there is no model to ask.
PieceTokens pieces_of(const ExportBuilder& builder, const Chosen& tokenizer) {
  const std::string model = tokenizer.option("model", "");
  if (model.empty()) return {.pieces = {}, .unknown = 2, .start = -1, .end = 1, .padding = 0};
  return read_pieces(option_file(builder.file(), model));
}

struct SpecialToken {
  std::string content;
  int64_t id;
};

Json added_token(const SpecialToken& token) {
  return {{"id", token.id},  {"content", token.content}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false},      {"special", true}};
}

// Start, text, end.
Json start_and_end(const SpecialToken& start, const SpecialToken& end) {
  const auto special = [](const SpecialToken& token) {
    return Json{{"SpecialToken", {{"id", token.content}, {"type_id", 0}}}};
  };
  const auto text = [](const char* name) { return Json{{"Sequence", {{"id", name}, {"type_id", 0}}}}; };
  Json tokens = Json::object();
  for (const SpecialToken& token : {start, end})
    tokens[token.content] = {
        {"id", token.content}, {"ids", Json::array({token.id})}, {"tokens", Json::array({token.content})}};
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({special(start), text("A"), special(end)})},
          {"pair", Json::array({special(start), text("A"), text("B"), special(end)})},
          {"special_tokens", tokens}};
}

Json byte_level() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
}

Json pair_encoding(const Json& vocabulary, const Json& merges, const Json& word_end) {
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", word_end},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", vocabulary},
          {"merges", merges}};
}

void add_special_tokens(ExportBuilder& builder, Json config, const std::string& start, const std::string& end,
                        const std::string& unknown, const std::string& padding) {
  Json names = Json::object();
  for (const auto& [key, name] : std::initializer_list<std::pair<const char*, std::string>>{
           {"bos_token", start}, {"eos_token", end}, {"unk_token", unknown}, {"pad_token", padding}})
    if (!name.empty()) names[key] = name;
  config.update(names);
  config["model_max_length"] = context_length(builder);
  config["clean_up_tokenization_spaces"] = false;
  builder.add_json("tokenizer_config.json", config);
  builder.add_json("special_tokens_map.json", names);
}

void add_tokenizer_json(ExportBuilder& builder, const std::vector<SpecialToken>& special, const SpecialToken& start,
                        const SpecialToken& end, const SpecialToken& padding, Json normalizer, Json pre_tokenizer,
                        Json model) {
  Json added = Json::array();
  for (const SpecialToken& token : special) added.push_back(added_token(token));
  builder.add_json("tokenizer.json", {{"version", "1.0"},
                                      {"truncation", nullptr},
                                      {"padding", nullptr},
                                      {"added_tokens", std::move(added)},
                                      {"normalizer", std::move(normalizer)},
                                      {"pre_tokenizer", std::move(pre_tokenizer)},
                                      {"post_processor", start_and_end(start, end)},
                                      {"decoder", byte_level()},
                                      {"model", std::move(model)}});
  add_special_tokens(builder, {{"tokenizer_class", "PreTrainedTokenizerFast"}}, start.content, end.content, "",
                     padding.content);
}

// Ids 0 and 1 for padding and start, a byte each, the end.
void export_bytes(ExportBuilder& builder) {
  constexpr int64_t kFirstByte = 2;
  const SpecialToken padding{"<|padding|>", 0}, start{"<|start|>", 1}, end{"<|end|>", kFirstByte + 256};
  Json vocabulary = Json::object();
  for (const SpecialToken& token : {padding, start}) vocabulary[token.content] = token.id;
  for (std::size_t byte = 0; byte < 256; ++byte)
    vocabulary[byte_characters()[byte]] = kFirstByte + static_cast<int64_t>(byte);
  vocabulary[end.content] = end.id;
  add_tokenizer_json(builder, {padding, start, end}, start, end, padding, nullptr, byte_level(),
                     pair_encoding(vocabulary, Json::array(), nullptr));
}

std::string vocabulary_text(const ExportBuilder& builder, const Chosen& tokenizer) {
  const std::string file = tokenizer.option("vocabulary", "");
  return file.empty() ? read_clip_vocabulary() : read_packed(option_file(builder.file(), file));
}

struct MergeFiles {
  Json vocabulary = Json::object();
  Json merges = Json::array();
  std::string merges_text = "#version: 0.2\n";
};

MergeFiles merge_files(const ExportBuilder& builder, const Chosen& tokenizer, const SpecialToken& start,
                       const SpecialToken& end) {
  const MergeTable read = read_merges(vocabulary_text(builder, tokenizer), tokenizer.option("vocabulary", "CLIP's"));
  if (static_cast<int64_t>(read.tokens.size()) + 2 != vocabulary_size(builder))
    throw Error(fmt::format("the vocabulary has {} tokens, and the text tower was trained with {}; name that one",
                            read.tokens.size() + 2, vocabulary_size(builder)));
  MergeFiles files;
  for (std::size_t id = 0; id < read.tokens.size(); ++id)
    if (!read.tokens[id].empty()) files.vocabulary[read.tokens[id]] = id;
  for (const SpecialToken& token : {start, end}) files.vocabulary[token.content] = token.id;
  for (const BpeMerge& merge : read.merges) {
    files.merges.push_back(Json::array({merge.left, merge.right}));
    files.merges_text += merge.left + " " + merge.right + "\n";
  }
  return files;
}

// Texts end with the end token there, where silc's end with id 0: what stands behind the end must not matter.
void refuse_padding(ExportBuilder& builder) {
  if (builder.text_setting("text", "mask", "causal") != "causal")
    builder.refuse(
        fmt::format("model.text.mask = \"bidirectional\" sees the padding, which transformers' CLIPTokenizer "
                    "writes as end tokens and silc as id 0; {}",
                    kRemedy));
}

// transformers' CLIPTokenizer.
void export_clip_tokenizer(ExportBuilder& builder, const Chosen& tokenizer) {
  if (const std::string clean = tokenizer.option("clean", "lower"); clean != "lower")
    return builder.refuse(fmt::format(
        "model.text.tokenizer.clean = \"{}\": transformers' CLIPTokenizer writes every text in lower case and leaves "
        "punctuation; {}",
        clean, kRemedy));
  refuse_padding(builder);
  const int64_t size = vocabulary_size(builder);
  const SpecialToken start{"<|startoftext|>", size - 2}, end{"<|endoftext|>", size - 1};
  const MergeFiles files = merge_files(builder, tokenizer, start, end);
  builder.planned().files["vocab.json"] = files.vocabulary.dump() + "\n";
  builder.planned().files["merges.txt"] = files.merges_text;
  add_special_tokens(builder, {{"tokenizer_class", "CLIPTokenizer"}, {"do_lower_case", true}, {"errors", "replace"}},
                     start.content, end.content, end.content, end.content);
  builder.remark(
      "transformers' CLIPTokenizer repairs no broken text and pads with end tokens; of other texts it gives silc's "
      "ids");
}

// A vocabulary that is not CLIP's: open_clip cleans texts as silc does and has transformers split them.
Json export_own_merges(ExportBuilder& builder, const Chosen& tokenizer) {
  refuse_padding(builder);
  const int64_t size = vocabulary_size(builder);
  const SpecialToken start{"<start_of_text>", size - 2}, end{"<end_of_text>", size - 1};
  const MergeFiles files = merge_files(builder, tokenizer, start, end);
  const Json words = {
      {"type", "Split"},
      {"pattern",
       {{"Regex", R"((?i:<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d)|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+)"}}},
      {"behavior", "Removed"},
      {"invert", true}};
  add_tokenizer_json(builder, {start, end}, start, end, end, nullptr,
                     {{"type", "Sequence"}, {"pretokenizers", Json::array({words, byte_level()})}},
                     pair_encoding(files.vocabulary, files.merges, "</w>"));
  return {{"hf_tokenizer_name", "."}, {"tokenizer_kwargs", {{"clean", tokenizer.option("clean", "lower")}}}};
}

// transformers' SiglipTokenizer.
void export_pieces(ExportBuilder& builder, const Chosen& tokenizer) {
  const std::string clean = tokenizer.option("clean", "lower_ascii");
  const auto refuse = [&](const std::string& key, const std::string& value, const std::string& why) {
    builder.refuse(fmt::format("model.text.tokenizer.{} = {}: {}; {}", key, value, why, kRemedy));
  };
  if (tokenizer.option("padding", "end") != "end")
    refuse("padding", "\"model\"", "transformers' SiglipTokenizer pads with the end token");
  if (tokenizer.options.value("start", false))
    refuse("start", "true", "transformers' SiglipTokenizer writes no start token");
  if (clean == "none") refuse("clean", "\"none\"", "transformers' SiglipTokenizer writes every text in lower case");
  const PieceTokens pieces = pieces_of(builder, tokenizer);
  if (pieces.pieces.empty())
    return builder.refuse(fmt::format("the tokenizer's model of SentencePiece is not known; {}", kRemedy));
  const auto piece = [&](int64_t id) {
    return id >= 0 && id < std::ssize(pieces.pieces) ? pieces.pieces[static_cast<std::size_t>(id)] : std::string();
  };
  builder.planned().copies["spiece.model"] = option_file(builder.file(), tokenizer.option("model", ""));
  add_special_tokens(builder, {{"tokenizer_class", "SiglipTokenizer"}, {"do_lower_case", true}}, "", piece(pieces.end),
                     piece(pieces.unknown), piece(pieces.end));
  if (clean != "without_punctuation")
    builder.remark(
        fmt::format("transformers' SiglipTokenizer drops punctuation, and this model was trained with clean = "
                    "\"{}\": of texts with punctuation, ids differ",
                    clean));
}

Json open_clip_tokenizer(ExportBuilder& builder, const Chosen& tokenizer) {
  const std::string clean = tokenizer.option("clean", "lower");
  if (tokenizer.name == "clip_bpe" && tokenizer.option("vocabulary", "").empty())
    return clean == "lower" ? Json::object() : Json{{"tokenizer_kwargs", {{"clean", clean}}}};
  if (tokenizer.name == "clip_bpe") return export_own_merges(builder, tokenizer);
  if (tokenizer.name == "sentencepiece") {
    export_pieces(builder, tokenizer);
    return {{"hf_tokenizer_name", "."},
            {"tokenizer_kwargs", {{"clean", clean == "canonicalize" ? "canonicalize" : "whitespace"}}}};
  }
  export_bytes(builder);
  builder.remark(
      "open_clip repairs broken text and makes runs of spaces one before it reads bytes, which silc does not");
  return {{"hf_tokenizer_name", "."}, {"tokenizer_kwargs", {{"clean", "whitespace"}}}};
}

}  // namespace

int64_t end_id(const ExportBuilder& builder) {
  const Chosen tokenizer = chosen_tokenizer(builder);
  return tokenizer.name == "sentencepiece" ? pieces_of(builder, tokenizer).end : vocabulary_size(builder) - 1;
}

int64_t start_id(const ExportBuilder& builder) {
  const Chosen tokenizer = chosen_tokenizer(builder);
  if (tokenizer.name == "words" || tokenizer.name == "bytes") return 1;
  return tokenizer.name == "sentencepiece" ? std::max<int64_t>(pieces_of(builder, tokenizer).start, 0)
                                           : vocabulary_size(builder) - 2;
}

int64_t padding_id(const ExportBuilder& builder) {
  const Chosen tokenizer = chosen_tokenizer(builder);
  if (tokenizer.name == "words" || tokenizer.name == "bytes") return 0;
  return tokenizer.option("padding", "end") == "model" ? pieces_of(builder, tokenizer).padding : end_id(builder);
}

nlohmann::ordered_json export_tokenizer(ExportBuilder& builder) {
  if (!builder.request().tokenizer) {
    builder.remark("the tokenizer is left out: tokens must be made as silc makes them");
    return Json::object();
  }
  const Chosen tokenizer = chosen_tokenizer(builder);
  if (tokenizer.name == "words")
    builder.refuse(
        fmt::format("model.text.tokenizer = \"words\": its vocabulary is learnt from the captions of the training data "
                    "and is not in a checkpoint; {}",
                    kRemedy));
  else if (tokenizer.name.empty())
    builder.refuse(fmt::format("the model's tokenizer is not known; {}", kRemedy));
  else if (tokenizer.name != "clip_bpe" && tokenizer.name != "sentencepiece" && tokenizer.name != "bytes")
    builder.refuse(fmt::format("model.text.tokenizer = \"{}\" is of a plugin that only silc can run; {}",
                               tokenizer.name, kRemedy));
  else if (builder.request().format == ExportFormat::open_clip)
    return open_clip_tokenizer(builder, tokenizer);
  else if (tokenizer.name == "clip_bpe")
    export_clip_tokenizer(builder, tokenizer);
  else if (tokenizer.name == "sentencepiece")
    export_pieces(builder, tokenizer);
  else
    export_bytes(builder);
  return Json::object();
}

}  // namespace silc
