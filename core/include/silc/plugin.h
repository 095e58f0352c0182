// The door through which every plugin comes in, silc's own and yours.
//
// A plugin is one class and one declaration. The declaration is a record of plain data in the ELF
// section "silc_plugins" of the shared library. `silc` reads it from the file, so that nothing of
// the library runs before its stamp is known to fit; the engine then loads the library and calls the
// factory named in the record. One library may declare several plugins.
//
// Do not use the macro here directly: each interface header has its own (SILC_OBJECTIVE, …).
#pragma once

#include <torch/version.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "silc/export.h"
#include "silc/options.h"

// Raised whenever a change to the public headers makes plugins built before it unusable.
#define SILC_ABI_VERSION 11

namespace silc {

enum class PluginKind : uint8_t {
  objective = 0,
  image_backbone = 1,
  text_backbone = 2,
  evaluator = 3,
  dataset = 4,
  tokenizer = 5,
};

// What objectives and evaluators may want of the data and of the model. An experiment in which one of them lacks what
// it needs is refused before anything is trained.
enum class Need : uint8_t {
  // Of the dataset: the one that is trained on, or evaluated on.
  classes = 0,           // Dataset::classes()
  labels = 1,            // Sample::label
  masks = 2,             // Sample::mask
  boxes = 3,             // Sample::boxes
  several_captions = 4,  // more than one caption of a picture
  // Of the model.
  patch_tokens = 5,     // ImageFeatures::patches
  masked_input = 6,     // ImageBackbone::forward_masked
  caption_decoder = 7,  // Objective::captioner(); only evaluators may want it
};
inline constexpr int kNeedCount = 8;

// Sets of Need, a bit each.
struct Needs {
  uint32_t needed = 0;    // cannot do without
  uint32_t optional = 0;  // makes use of where it is there
};

namespace detail {

template <class... N>
constexpr uint32_t need_bits(N... need) {
  return (0u | ... | (1u << static_cast<uint32_t>(need)));
}

}  // namespace detail

// Stand among the options in an objective's or evaluator's declaration: what it cannot do without, and what it makes
// use of (with some options, or where it is there). What is in neither list it must do without (silc plugin check).
//
//     SILC_EVALUATOR(pointing, Pointing, 1, "…", silc::needs(silc::Need::classes, silc::Need::boxes), kMargin);
template <class... N>
consteval Needs needs(N... need) {
  return {.needed = detail::need_bits(need...), .optional = 0};
}
template <class... N>
consteval Needs may_need(N... need) {
  return {.needed = 0, .optional = detail::need_bits(need...)};
}

// A split that a dataset has, and what it holds: for silc plugin show and the reference.
struct SplitRecord {
  char name[32] = {};
  char content[160] = {};
};
inline constexpr std::size_t kMostSplits = 8;

// Stands among the options in a dataset's declaration, once for each split that it has whatever its options.
//
//     SILC_DATASET(birds, Birds, 1, "…", silc::split("train", "photographs of 2010 to 2020"), kFolder);
consteval SplitRecord split(std::string_view name, std::string_view content) {
  SplitRecord record;
  detail::copy_text(record.name, name);
  detail::copy_text(record.content, content);
  return record;
}

// Stands among the options in the declaration of a tokenizer that has its vocabulary from the captions of the training
// data. Others get none where there is no training: a model of theirs can be read without the data.
//
//     SILC_TOKENIZER(words, Words, 1, "…", silc::learns_from_captions(), kVocabulary);
struct LearnsFromCaptions {};
consteval LearnsFromCaptions learns_from_captions() { return {}; }

inline constexpr std::size_t kPluginAlignment = 16;
inline constexpr char kPluginMagic[8] = {'S', 'I', 'L', 'C', 'P', 'L', 'U', 'G'};

// What must fit before any code of a plugin may run.
struct PluginStamp {
  char magic[8] = {};
  uint32_t abi = SILC_ABI_VERSION;  // of silc's public headers
  uint32_t cxx11_abi = 0;           // _GLIBCXX_USE_CXX11_ABI
  char torch[24] = {};              // LibTorch version, "2.13.0"
  char compiler[40] = {};           // compiler and its C++ ABI version, "GNU 1017"
};

struct PluginHeader {
  PluginStamp stamp;
  uint32_t size = 0;          // of the whole record in bytes, a multiple of kPluginAlignment
  uint32_t option_count = 0;  // OptionRecords that follow the header
  uint32_t version = 1;       // raised by the author when results change: part of a cell's identity
  PluginKind kind = PluginKind::objective;
  uint8_t split_count = 0;
  uint8_t learns_from_captions = 0;  // of a tokenizer: 1, it does
  uint8_t reserved[1] = {};
  Needs needs;
  SplitRecord splits[kMostSplits] = {};  // of a dataset
  char name[64] = {};
  char summary[240] = {};
  char factory[96] = {};  // exported symbol: Interface* factory(const Context&)
};

// Options follow the header without a gap.
static_assert(sizeof(PluginHeader) % alignof(OptionRecord) == 0);

template <std::size_t N>
struct alignas(kPluginAlignment) PluginRecord {
  PluginHeader header;
  OptionRecord options[N == 0 ? 1 : N];
};

namespace detail {

#define SILC_STRINGIFY_IMPL(x) #x
#define SILC_STRINGIFY(x) SILC_STRINGIFY_IMPL(x)
#if defined(__clang__)
inline constexpr std::string_view kCompilerName = "Clang " SILC_STRINGIFY(__GXX_ABI_VERSION);
#else
inline constexpr std::string_view kCompilerName = "GNU " SILC_STRINGIFY(__GXX_ABI_VERSION);
#endif

}  // namespace detail

consteval PluginStamp current_stamp() {
  PluginStamp stamp;
  std::copy(std::begin(kPluginMagic), std::end(kPluginMagic), stamp.magic);
#if defined(_GLIBCXX_USE_CXX11_ABI)
  stamp.cxx11_abi = _GLIBCXX_USE_CXX11_ABI;
#endif
  detail::copy_text(stamp.torch, TORCH_VERSION);
  detail::copy_text(stamp.compiler, detail::kCompilerName);
  return stamp;
}

namespace detail {

// How many options something that is declared stands for.
template <class T>
inline constexpr std::size_t kOptionCount = 0;
template <class T>
inline constexpr std::size_t kOptionCount<Option<T>> = 1;
template <class... T>
inline constexpr std::size_t kOptionCount<std::tuple<T...>> = (std::size_t{0} + ... +
                                                               kOptionCount<std::remove_cvref_t<T>>);
template <OptionGroup T>
inline constexpr std::size_t kOptionCount<T> = kOptionCount<decltype(std::declval<const T&>().members())>;

template <class Record, class T>
constexpr void declare(Record& record, const Option<T>& option) {
  for (uint32_t i = 0; i < record.header.option_count; ++i)
    if (option.name() == std::string_view(record.options[i].name))
      throw std::logic_error("two options of a plugin have the same name");
  record.options[record.header.option_count++] = option.record;
}
template <class Record, OptionGroup T>
constexpr void declare(Record& record, const T& group) {
  std::apply([&](const auto&... member) { (declare(record, member), ...); }, group.members());
}
template <class Record>
constexpr void declare(Record& record, const Needs& needs) {
  record.header.needs.needed |= needs.needed;
  record.header.needs.optional |= needs.optional;
}

template <class Record>
constexpr void declare(Record& record, const SplitRecord& split) {
  if (record.header.kind != PluginKind::dataset) throw std::logic_error("only datasets have splits");
  record.header.splits[record.header.split_count++] = split;
}

template <class Record>
constexpr void declare(Record& record, const LearnsFromCaptions& /*marker*/) {
  if (record.header.kind != PluginKind::tokenizer) throw std::logic_error("only tokenizers learn from captions");
  record.header.learns_from_captions = 1;
}

consteval void check_needs(const PluginHeader& header) {
  const uint32_t all = header.needs.needed | header.needs.optional;
  if (header.needs.needed & header.needs.optional)
    throw std::logic_error("a plugin needs what it also may need: name it once");
  if (all != 0 && header.kind != PluginKind::objective && header.kind != PluginKind::evaluator)
    throw std::logic_error("only objectives and evaluators need something of others");
  if (header.kind == PluginKind::objective && (all & need_bits(Need::caption_decoder)) != 0)
    throw std::logic_error("an objective makes the caption decoder itself");
}

}  // namespace detail

// `declared`: options, groups of options, needs(), may_need(), split() and learns_from_captions(), in any order.
template <class... Declared>
consteval auto declare_plugin(PluginKind kind, std::string_view name, std::string_view factory, uint32_t version,
                              std::string_view summary, const Declared&... declared) {
  PluginRecord<(std::size_t{0} + ... + detail::kOptionCount<Declared>)> record{};
  record.header.stamp = current_stamp();
  record.header.size = sizeof(record);
  record.header.version = version;
  record.header.kind = kind;
  detail::copy_text(record.header.name, name);
  detail::copy_text(record.header.summary, summary);
  detail::copy_text(record.header.factory, factory);
  (detail::declare(record, declared), ...);
  detail::check_needs(record.header);
  return record;
}

}  // namespace silc

// Declares the plugin `id` (an identifier; also its name in experiment files) of class `Class`.
// `Class` must be constructible from `Context`.
#define SILC_PLUGIN(kind, Interface, Context, id, Class, version, summary, ...)                                \
  extern "C" SILC_EXPORT Interface* silc_##kind##_##id(const Context& context) { return new Class(context); }  \
  extern "C" SILC_EXPORT __attribute__((section("silc_plugins"), used)) const auto silc_record_##kind##_##id = \
      ::silc::declare_plugin(::silc::PluginKind::kind, #id, "silc_" #kind "_" #id, version,                    \
                             summary __VA_OPT__(, ) __VA_ARGS__)
