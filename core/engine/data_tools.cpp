#include "engine/data_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <map>
#include <set>

#include "engine/assembly.h"
#include "engine/contact_sheet.h"
#include "engine/excerpt.h"
#include "engine/failure.h"
#include "engine/prefetcher.h"
#include "engine/unreadable.h"
#include "engine/view_sheet.h"
#include "files/durable_file.h"
#include "pictures/copies.h"
#include "pictures/draw.h"
#include "plugin/option_values.h"
#include "tokens/bpe.h"
#include "tokens/bpe_training.h"
#include "tokens/clean.h"

namespace silc {
namespace {

using Json = nlohmann::json;
using Emit = std::function<void(const Json& line)>;

// What is asked about.
struct Subject {
  std::string name;  // of the dataset
  std::vector<std::pair<std::string, std::shared_ptr<Dataset>>> splits;
  int64_t threads = 1;
};

// The file that shows a sample; empty if there is none, or it cannot be read.
std::string source_of(const Subject& subject, const Dataset& dataset, int64_t index) {
  try {
    return in_plugin(PluginKind::dataset, subject.name, [&] { return dataset.sample(index).image.source; });
  } catch (const Error&) {
    return "";
  }
}

// A table without a column of splits is the same whichever split is asked for.
bool shows_the_same_files(const Subject& subject, const Dataset& one, const Dataset& other) {
  constexpr int64_t kLooks = 16;
  if (one.size() != other.size()) return false;
  bool shown = false;
  for (int64_t look = 0; look < kLooks; ++look) {
    const int64_t index = spread(look, kLooks, one.size());
    const std::string source = source_of(subject, one, index);
    if (source != source_of(subject, other, index)) return false;
    shown = shown || !source.empty();
  }
  return shown;
}

Subject open_subject(const Json& question, const Catalogue& catalogue) {
  Subject subject{.name = question.at("dataset"), .splits = {}, .threads = question.value("threads", int64_t{1})};
  const PluginInfo& plugin = catalogue.require(PluginKind::dataset, subject.name);
  const Options options = options_from_json(plugin, question.value("options", Json::object()));
  const auto open = [&](const std::string& split) {
    DataSource source;
    source.dataset = {.kind = PluginKind::dataset, .name = subject.name, .version = plugin.version, .options = options};
    source.split = split;
    subject.splits.emplace_back(split, load_dataset(source, catalogue));
  };
  for (const std::string split : question.at("splits")) open(split);
  if (!subject.splits.empty()) return subject;
  std::string fault;
  for (const std::string split : {"train", "validation", "test"}) try {
      open(split);
    } catch (const Error& error) {
      if (fault.empty()) fault = error.what();
    }
  if (subject.splits.empty()) throw Error(fault);
  while (subject.splits.size() > 1 &&
         shows_the_same_files(subject, *subject.splits.front().second, *subject.splits.back().second))
    subject.splits.pop_back();
  return subject;
}

int64_t letters_in(const std::string& utf8) {
  return std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

// What a sample adds to the figures of its split.
struct Look {
  std::string fault;             // empty: it can be read
  std::vector<int64_t> letters;  // of each caption
  int64_t width = 0, height = 0, label = kNoLabel, boxes = 0;
  bool mask = false;
  Likeness likeness;
};

Look look_at(const Dataset& dataset, int64_t index) {
  Look look;
  try {
    const Sample sample = read_decoded(dataset, index);
    for (const std::string& caption : sample.captions) look.letters.push_back(letters_in(caption));
    look.width = sample.image.width;
    look.height = sample.image.height;
    look.label = sample.label;
    look.boxes = static_cast<int64_t>(sample.boxes.size());
    look.mask = !sample.mask.empty();
    look.likeness = likeness_of(sample.image);
  } catch (const Error& error) {
    look.fault = error.what();
  }
  return look;
}

// Least, greatest and sum of a number.
struct Spread {
  int64_t least = 0, most = 0, count = 0;
  double sum = 0;

  void add(int64_t value) {
    least = count == 0 ? value : std::min(least, value);
    most = count == 0 ? value : std::max(most, value);
    sum += static_cast<double>(value);
    ++count;
  }
  [[nodiscard]] Json ends() const { return {least, most}; }
};

struct Figures {
  int64_t unreadable = 0, masks = 0, boxes = 0;
  Spread each, letters, width, height;
  std::map<int64_t, int64_t> labels;

  void add(const Look& look) {
    each.add(static_cast<int64_t>(look.letters.size()));
    for (const int64_t count : look.letters) letters.add(count);
    width.add(look.width);
    height.add(look.height);
    masks += look.mask ? 1 : 0;
    boxes += look.boxes;
    if (look.label != kNoLabel) ++labels[look.label];
  }

  [[nodiscard]] Json json(const Dataset& dataset) const {
    const std::vector<std::string> classes = dataset.classes();
    Json counts = Json::object();
    if (!labels.empty())
      for (std::size_t label = 0; label < classes.size(); ++label) {
        const auto found = labels.find(static_cast<int64_t>(label));
        counts[classes[label]] = found == labels.end() ? 0 : found->second;
      }
    const double mean = letters.count == 0 ? 0 : letters.sum / static_cast<double>(letters.count);
    return {{"samples", dataset.size()},
            {"unreadable", unreadable},
            {"captions", letters.count},
            {"captions_each", each.ends()},
            {"letters", {letters.least, mean, letters.most}},
            {"width", width.ends()},
            {"height", height.ends()},
            {"masks", masks},
            {"boxes", boxes},
            {"labels", counts}};
  }
};

void check(const Subject& subject, const Emit& emit) {
  std::vector<Likeness> likenesses;
  std::vector<std::pair<std::size_t, int64_t>> places;  // of these: split and index
  for (std::size_t s = 0; s < subject.splits.size(); ++s) {
    const auto& [split, dataset] = subject.splits[s];
    emit({{"begin", split}, {"samples", dataset->size()}});
    Figures figures;
    Prefetcher<Look> looks(0, dataset->size(), subject.threads, 64 * subject.threads,
                           [&dataset = dataset, &subject](int64_t i) {
                             return in_plugin(PluginKind::dataset, subject.name, [&] { return look_at(*dataset, i); });
                           });
    for (int64_t i = 0; i < dataset->size(); ++i) {
      const Look look = *looks.next();
      if (i % 1000 == 999) emit({{"read", i + 1}});
      if (!look.fault.empty()) {
        ++figures.unreadable;
        emit({{"unreadable", i}, {"split", split}, {"reason", look.fault}});
        continue;
      }
      figures.add(look);
      likenesses.push_back(look.likeness);
      places.emplace_back(s, i);
    }
    emit({{"split", split}, {"figures", figures.json(*dataset)}});
  }
  for (const std::vector<int64_t>& copies : find_copies(likenesses)) {
    Json list = Json::array();
    for (const int64_t copy : copies) {
      const auto& [split, index] = places[static_cast<std::size_t>(copy)];
      const auto& [name, dataset] = subject.splits[split];
      list.push_back({name, index, source_of(subject, *dataset, index)});
    }
    emit({{"duplicates", list}});
  }
}

void write_sheet(const Image& sheet, const std::string& file, std::size_t samples, const Emit& emit) {
  const std::vector<uint8_t> png = encode_png(sheet);
  write_file_durably(file, std::string_view(reinterpret_cast<const char*>(png.data()), png.size()));
  emit({{"written", file}, {"samples", samples}});
}

// `count` samples, spread over the split.
std::vector<ShownSample> samples_to_show(const Subject& subject, const std::string& split, const Dataset& dataset,
                                         int64_t count, const Emit& emit) {
  count = std::min(count, dataset.size());
  std::vector<ShownSample> samples;
  for (int64_t k = 0; k < count; ++k) {
    const int64_t index = spread(k, count, dataset.size());
    try {
      samples.push_back(
          {index, in_plugin(PluginKind::dataset, subject.name, [&] { return read_decoded(dataset, index); })});
    } catch (const Error& error) {
      emit({{"unreadable", index}, {"split", split}, {"reason", error.what()}});
    }
  }
  return samples;
}

void preview(const Subject& subject, const Json& question, const Emit& emit) {
  std::vector<Image> sheets;
  std::size_t shown = 0;
  for (const auto& [split, dataset] : subject.splits) {
    const std::vector<ShownSample> samples =
        samples_to_show(subject, split, *dataset, question.value("count", int64_t{24}), emit);
    if (samples.empty()) continue;
    shown += samples.size();
    sheets.push_back(draw_contact_sheet(subject.splits.size() > 1 ? split : "", samples, dataset->classes()));
  }
  if (sheets.empty()) throw Error("none of the samples that were to be shown can be read");
  write_sheet(one_below_the_other(sheets), question.at("output"), shown, emit);
}

void preview_views(const Json& question, const Catalogue& catalogue, const Emit& emit) {
  const int64_t count = question.value("count", int64_t{8});
  std::vector<Image> sheets;
  for (const std::string text : question.at("cells"))
    sheets.push_back(view_sheet(parse_cell(text, "the row's settings", catalogue), catalogue, count));
  write_sheet(one_below_the_other(sheets), question.at("output"), static_cast<std::size_t>(count), emit);
}

// The members of a sample, as text of an archive.
class ShardText {
 public:
  void add(const std::string& name, std::string_view content) {
    std::array<char, 512> header{};
    const auto put = [&](std::size_t at, std::string_view text) {
      std::copy(text.begin(), text.end(), header.begin() + static_cast<std::ptrdiff_t>(at));
    };
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, fmt::format("{:011o}", content.size()));
    put(136, "00000000000");  // no date, so that the same data give the same bytes
    put(148, "        ");
    put(156, "0");
    put(257, std::string_view("ustar\0"
                              "00",
                              8));
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<uint8_t>(c);
    put(148, fmt::format("{:06o}", sum));
    header[154] = 0;
    text_.append(header.data(), header.size()).append(content);
    text_.append((512 - content.size() % 512) % 512, '\0');
  }

  [[nodiscard]] std::string take() { return std::exchange(text_, {}); }

 private:
  std::string text_;
};

std::string ending_of(const std::vector<uint8_t>& file) {
  return file[0] == 0xFF ? "jpg" : file[0] == 0x89 ? "png" : "webp";
}

// The picture as it is in its file, or a PNG of what is drawn.
std::string members_of(const Sample& sample, int64_t index) {
  const std::string key = fmt::format("{:09}", index);
  const std::vector<uint8_t> file = sample.image.encoded.empty() ? encode_png(sample.image) : sample.image.encoded;
  ShardText shard;
  shard.add(key + "." + ending_of(file), {reinterpret_cast<const char*>(file.data()), file.size()});
  if (sample.label != kNoLabel) shard.add(key + ".cls", std::to_string(sample.label));
  if (sample.captions.size() == 1)
    shard.add(key + ".txt", sample.captions.front());
  else
    shard.add(key + ".json", Json{{"caption", sample.captions}}.dump());
  return shard.take();
}

void pack(const Subject& subject, const Json& question, const Emit& emit) {
  const std::filesystem::path folder = question.at("output").get<std::string>();
  const int64_t per_shard = question.value("per_shard", int64_t{10000});
  const bool skip = question.value("skip", false);
  std::filesystem::create_directories(folder);
  for (const auto& [split, dataset] : subject.splits) {
    const auto members = [&dataset = dataset, &subject](int64_t index) -> std::pair<std::string, std::string> {
      return in_plugin(PluginKind::dataset, subject.name, [&]() -> std::pair<std::string, std::string> {
        try {
          static_cast<void>(read_decoded(*dataset, index));
          return {members_of(dataset->sample(index), index), ""};
        } catch (const Error& error) {
          return {"", error.what()};
        }
      });
    };
    Prefetcher<std::pair<std::string, std::string>> samples(0, dataset->size(), subject.threads, 16 * subject.threads,
                                                            members);
    for (int64_t first = 0, number = 0; first < dataset->size(); first += per_shard, ++number) {
      const std::filesystem::path shard = folder / fmt::format("{}-{:06}.tar", split, number);
      const std::filesystem::path temporary = shard.string() + ".part";
      std::ofstream stream(temporary, std::ios::binary);
      int64_t written = 0;
      for (int64_t i = first; i < std::min(dataset->size(), first + per_shard); ++i) {
        const auto [text, fault] = *samples.next();
        if (!fault.empty()) {
          emit({{"unreadable", i}, {"split", split}, {"reason", fault}});
          if (!skip) throw Error(fault + "; --on-error skip packs the rest");
          continue;
        }
        stream.write(text.data(), static_cast<std::streamsize>(text.size()));
        ++written;
      }
      stream << std::string(1024, '\0');
      stream.close();
      if (!stream) throw Error(temporary.string() + " cannot be written; is the disk full?");
      std::filesystem::rename(temporary, shard);
      emit({{"shard", shard.string()}, {"samples", written}});
    }
    std::string classes;
    for (const std::string& name : dataset->classes()) classes += name + "\n";
    if (!classes.empty()) write_file_durably(folder / "classes.txt", classes);
  }
}

void train_tokenizer(const Subject& subject, const Json& question, const Emit& emit) {
  const std::filesystem::path output = question.at("output").get<std::string>();
  const Cleaning cleaning = parse_cleaning(question.at("clean").get<std::string>());
  WordCounts counts;
  int64_t captions = 0;
  for (const auto& [split, dataset] : subject.splits) {
    const auto cleaned = [&dataset = dataset, &subject, cleaning](int64_t index) {
      return in_plugin(PluginKind::dataset, subject.name, [&] {
        std::vector<std::u32string> texts;
        for (const std::string& caption : dataset->captions(index)) texts.push_back(clean(caption, cleaning));
        return texts;
      });
    };
    Prefetcher<std::vector<std::u32string>> samples(0, dataset->size(), subject.threads, 64 * subject.threads, cleaned);
    for (int64_t i = 0; i < dataset->size(); ++i) {
      const std::vector<std::u32string> texts = *samples.next();
      for (const std::u32string& text : texts) count_words(text, counts);
      captions += static_cast<int64_t>(texts.size());
      if (i % 1000 == 999) emit({{"read", i + 1}});
    }
  }
  const BpeVocabulary vocabulary = train_bpe(counts, question.at("tokens").get<int64_t>());
  if (vocabulary.tokens == kFewestTokens)
    throw Error("the captions hold no two letters that follow each other twice; there is nothing to learn from them");
  write_file_durably(output, output.extension() == ".gz" ? gzip(vocabulary.text) : vocabulary.text);
  emit({{"written", output.string()}, {"tokens", vocabulary.tokens}, {"captions", captions}, {"words", counts.size()}});
}

}  // namespace

void use_data(const Json& question, const Catalogue& catalogue, const Emit& emit) {
  try {
    const std::string what = question.at("do");
    if (what == "views") {
      preview_views(question, catalogue, emit);
      return emit({{"done", true}});
    }
    const Subject subject = open_subject(question, catalogue);
    if (what == "check")
      check(subject, emit);
    else if (what == "preview")
      preview(subject, question, emit);
    else if (what == "pack")
      pack(subject, question, emit);
    else if (what == "train_tokenizer")
      train_tokenizer(subject, question, emit);
    else
      throw Error("silc-engine data cannot \"" + what + "\"");
  } catch (const Json::exception& error) {
    throw Error(std::string("a question to silc-engine data is malformed: ") + error.what());
  }
  emit({{"done", true}});
}

}  // namespace silc
