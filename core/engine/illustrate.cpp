#include "engine/illustrate.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "engine/assembly.h"
#include "engine/checkpoint.h"
#include "engine/evaluation.h"
#include "engine/excerpt.h"
#include "engine/failure.h"
#include "engine/needs.h"
#include "engine/parameters.h"
#include "engine/patch_maps.h"
#include "engine/unreadable.h"
#include "files/base64.h"
#include "files/durable_file.h"
#include "pictures/draw.h"
#include "plugin/loader.h"

namespace silc {
namespace {

constexpr std::size_t kGuesses = 5;
constexpr std::size_t kWordsOfCaptions = 300;
constexpr std::size_t kCaptionsShown = 5;  // of a picture
constexpr std::size_t kCaptionBytes = 300;

// A trained model, ready to be asked.
struct ShownModel {
  ResolvedCell cell;
  Assembly assembly;
  std::string checkpoint;  // its file's name; empty: weights that the cell started from
  std::string weights;
};

ShownModel load_shown(const RunFolder& folder, const std::string& weights, const Catalogue& catalogue) {
  ShownModel model{.cell = read_cell(folder.cell(), catalogue), .assembly = {}, .checkpoint = "", .weights = weights};
  model.cell.engine.device = "cpu";
  if (is_evaluated_only(model.cell)) {
    model.assembly = assemble(model.cell, catalogue, open_start(model.cell, folder).get());
    return model;
  }
  const std::optional<ResumePoint> point = find_resume_point(folder);
  if (!point) throw Error("there is no checkpoint in " + folder.path.string());
  SafetensorsFile file(point->file);
  try {
    check_owner(file, cell_id(model.cell));
  } catch (const Error& error) {
    throw Error(point->file.string() + ": " + error.what());
  }
  model.assembly = assemble(model.cell, catalogue, weights_of(std::move(file)).get());
  model.checkpoint = point->file.filename();
  return model;
}

// How an objective turns cosines into what it calls a match.
struct Likelihood {
  std::string kind;  // "softmax", "sigmoid" or empty
  double scale = 1, bias = 0;

  // scores: [n, C] → [n, C].
  [[nodiscard]] at::Tensor of(const at::Tensor& scores) const {
    const at::Tensor logits = scores.to(at::kDouble) * scale + bias;
    return kind == "sigmoid" ? at::sigmoid(logits) : at::softmax(logits, 1);
  }
};

Likelihood likelihood_of(const Assembly& assembly) {
  std::optional<double> scale, bias;
  for (const auto& [name, tensor] : module_state(*assembly.model, *assembly.objective)) {
    const std::string last = name.substr(name.rfind('.') + 1);
    if (!name.starts_with("objective.") || tensor.numel() != 1) continue;
    if (last == "logit_scale") scale = std::exp(tensor.item<double>());
    if (last == "logit_bias") bias = tensor.item<double>();
  }
  if (!scale) return {};
  return {.kind = bias ? "sigmoid" : "softmax", .scale = *scale, .bias = bias.value_or(0)};
}

// Fits into a square of that side.
std::array<int64_t, 2> shown_size(int64_t width, int64_t height, int64_t side) {
  const double scale = std::min(1.0, static_cast<double>(side) / static_cast<double>(std::max(width, height)));
  const auto scaled = [&](int64_t length) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(length) * scale));
  };
  return {scaled(width), scaled(height)};
}

std::string data_url(const Image& image, int64_t side) {
  const auto [width, height] = shown_size(image.width, image.height, side);
  const bool as_it_is = width == image.width && height == image.height;
  return "data:image/webp;base64," + base64(encode_webp(as_it_is ? image : resized(image, width, height)));
}

// `mask`: classes of an image's pixels; the nearest ones at the size that is shown.
nlohmann::json shown_mask(const std::vector<uint8_t>& mask, const Image& image) {
  const auto [width, height] = shown_size(image.width, image.height, kGallerySide);
  std::vector<uint8_t> shown;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      shown.push_back(mask[static_cast<std::size_t>((2 * y + 1) * image.height / (2 * height) * image.width +
                                                    (2 * x + 1) * image.width / (2 * width))]);
  return {{"width", width}, {"height", height}, {"runs", base64(runs_of(shown))}};
}

std::string shortened(const std::string& caption) {
  if (caption.size() <= kCaptionBytes) return caption;
  std::size_t end = kCaptionBytes;
  while (end > 0 && (static_cast<uint8_t>(caption[end]) & 0xC0) == 0x80) --end;
  return caption.substr(0, end) + "…";
}

std::vector<int64_t> indices(const nlohmann::json& wish, const char* key) {
  return wish.value(key, std::vector<int64_t>{});
}

// One evaluation of a model, and what is asked of it.
class Illustrator {
  template <class Work>
  decltype(auto) in_dataset(Work work) const {
    return in_plugin(PluginKind::dataset, evaluation_.data.dataset.name, work);
  }

 public:
  Illustrator(const ShownModel& model, const Evaluation& evaluation, const nlohmann::json& wish,
              const Catalogue& catalogue, int64_t threads)
      : model_(model),
        evaluation_(evaluation),
        wish_(wish),
        plugin_(catalogue.require(evaluation.evaluator.kind, evaluation.evaluator.name)),
        dataset_(evaluated_data(load_dataset(evaluation.data, catalogue), threads)),
        encoder_(make_encoder(model.cell, model.assembly, model.weights)) {}

  nlohmann::json gallery() {
    const std::vector<int64_t> places = indices(wish_, "pictures");
    std::vector<Sample> samples;
    for (const int64_t place : places) samples.push_back(sample(place));
    const Illustrations shown = places.empty() ? Illustrations{} : illustrations(places, samples);
    const Likelihood likelihood = likelihood_of(model_.assembly);
    auto pictures = nlohmann::json::array();
    for (std::size_t i = 0; i < samples.size(); ++i)
      pictures.push_back(picture(places[i], samples[i], shown, i, likelihood));
    return {{"format", kGalleryFormat},
            {"checkpoint", model_.checkpoint},
            {"evaluation", evaluation_.name},
            {"evaluator", evaluation_.evaluator.name},
            {"dataset", evaluation_.data.dataset.name},
            {"split", evaluation_.data.split},
            {"weights", model_.weights},
            {"samples", dataset_->size()},
            {"classes", in_dataset([&] { return dataset_->classes(); })},
            {"probability", likelihood.kind},
            {"pictures", pictures},
            {"thumbnails", thumbnails()},
            {"captions", captions()},
            {"maps", maps(shown.class_texts)}};
  }

 private:
  // What the evaluation went over: without the samples that could not be read, where that is so.
  std::shared_ptr<Dataset> evaluated_data(std::shared_ptr<Dataset> whole, int64_t threads) const {
    const int64_t samples = wish_.value("samples", int64_t{0});
    if (samples == whole->size()) return whole;
    if (may_skip(evaluation_.data)) {
      std::vector<int64_t> all(static_cast<std::size_t>(whole->size()));
      std::iota(all.begin(), all.end(), 0);
      auto readable = std::make_shared<Subset>(whole, find_readable(*whole, all, threads).places);
      if (readable->size() == samples) return readable;
    }
    throw Error(fmt::format("dataset \"{}\" has {} pictures in split \"{}\", where the evaluation had {}",
                            evaluation_.data.dataset.name, whole->size(), evaluation_.data.split, samples));
  }

  [[nodiscard]] Sample sample(int64_t place) const {
    check(place);
    return in_dataset([&] { return read_decoded(*dataset_, place); });
  }

  void check(int64_t place) const {
    if (place < 0 || place >= dataset_->size())
      throw Error(fmt::format("picture {} is asked for, of {} in dataset \"{}\"", place, dataset_->size(),
                              evaluation_.data.dataset.name));
  }

  Illustrations illustrations(const std::vector<int64_t>& places, const std::vector<Sample>& samples) {
    const Subset chosen(dataset_, places);
    const PluginChoice& choice = evaluation_.evaluator;
    return in_plugin(choice.kind, choice.name, [&] {
      Illustrations shown = make_evaluator(plugin_, {.options = choice.options})
                                ->illustrate({.options = choice.options,
                                              .dataset = chosen,
                                              .encoder = encoder_,
                                              .for_each_batch = [&](const auto& visit) { visit(samples, 0); }});
      const auto count = static_cast<int64_t>(samples.size());
      if (shown.class_scores.defined() && (shown.class_scores.dim() != 2 || shown.class_scores.size(0) != count))
        throw Error("its illustrate() gives class_scores that are not [pictures, classes]");
      if (!shown.masks.empty() && shown.masks.size() != samples.size())
        throw Error("its illustrate() gives masks that are not one a picture");
      return shown;
    });
  }

  static nlohmann::json picture(int64_t place, const Sample& sample, const Illustrations& shown, std::size_t i,
                                const Likelihood& likelihood) {
    const Image& image = sample.image;
    const auto [width, height] = shown_size(image.width, image.height, kGallerySide);
    nlohmann::json picture = {{"index", place},
                              {"width", width},
                              {"height", height},
                              {"picture", data_url(image, kGallerySide)},
                              {"label", nullptr},
                              {"captions", nlohmann::json::array()},
                              {"guesses", nlohmann::json::array()}};
    if (sample.label != kNoLabel) picture["label"] = sample.label;
    for (std::size_t c = 0; c < std::min(kCaptionsShown, sample.captions.size()); ++c)
      picture["captions"].push_back(shortened(sample.captions[c]));
    if (shown.class_scores.defined())
      picture["guesses"] = guesses(shown.class_scores[static_cast<int64_t>(i)], likelihood);
    const auto pixels = static_cast<std::size_t>(image.width * image.height);
    if (sample.mask.size() == pixels) picture["truth"] = shown_mask(sample.mask, image);
    if (!shown.masks.empty() && shown.masks[i].size() == pixels)
      picture["predicted"] = shown_mask(shown.masks[i], image);
    return picture;
  }

  // scores: [C].
  static nlohmann::json guesses(const at::Tensor& scores, const Likelihood& likelihood) {
    const at::Tensor p = likelihood.of(scores.unsqueeze(0)).squeeze(0);  // [C]
    const at::Tensor order = at::argsort(scores, /*stable=*/true, 0, /*descending=*/true);
    auto list = nlohmann::json::array();
    for (int64_t k = 0; k < std::min<int64_t>(kGuesses, order.size(0)); ++k) {
      const auto label = order[k].item<int64_t>();
      list.push_back({{"class", label}, {"score", scores[label].item<double>()}});
      if (!likelihood.kind.empty()) list.back()["p"] = p[label].item<double>();
    }
    return list;
  }

  [[nodiscard]] nlohmann::json thumbnails() const {
    auto list = nlohmann::json::object();
    for (const int64_t place : indices(wish_, "thumbnails"))
      list[std::to_string(place)] = data_url(sample(place).image, kThumbnailSide);
    return list;
  }

  [[nodiscard]] nlohmann::json captions() const {
    auto list = nlohmann::json::array();
    for (const auto& [place, number] : wish_.value("captions", std::vector<std::array<int64_t, 2>>{})) {
      check(place);
      const std::vector<std::string> all = in_dataset([&, place = place] { return dataset_->captions(place); });
      if (number < 0 || number >= static_cast<int64_t>(all.size()))
        throw Error(fmt::format("caption {} of picture {} is asked for, which has {}", number, place, all.size()));
      list.push_back({place, number, shortened(all[static_cast<std::size_t>(number)])});
    }
    return list;
  }

  // classes: [C, E] or undefined.
  nlohmann::json maps(const at::Tensor& classes) {
    const std::vector<int64_t> places = indices(wish_, "maps");
    if (places.empty()) return nlohmann::json::object();
    if (!gives_patch_tokens(*model_.assembly.model->image, model_.cell, model_.assembly.device)) return nullptr;
    std::vector<Sample> samples;
    for (const int64_t place : places) samples.push_back(sample(place));
    const PatchEmbeddings patches = encoder_.embed_patches(samples);  // [n, N, E]

    std::vector<std::string> words =
        classes.defined() ? in_dataset([&] { return dataset_->classes(); }) : std::vector<std::string>{};
    const std::size_t class_count = words.size();
    std::set<std::string> known(words.begin(), words.end());
    const auto add = [&](const std::string& word) {
      if (known.insert(word).second) words.push_back(word);
    };
    for (const std::string& word : wish_.value("words", std::vector<std::string>{})) add(word);
    for (const std::string& word : in_dataset([&] { return caption_words(*dataset_, kWordsOfCaptions); })) add(word);
    at::Tensor texts = encoder_.embed_texts(std::span(words).subspan(class_count));  // [V − C, E]
    if (classes.defined()) texts = at::cat({classes, texts});
    const at::Tensor scores = at::matmul(patches.values, texts.t()).flatten(0, 1);  // [n·N, V]
    if (!at::isfinite(scores).all().item<bool>())
      throw Error("the model gives embeddings that are not finite; its weights are broken");

    const PatchMaps found = patch_maps(scores);
    const auto text_of = [](const std::vector<int8_t>& bytes) {
      return base64({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    };
    return {{"words", words},
            {"classes", class_count},
            {"pictures", places},
            {"grid", {patches.grid_height, patches.grid_width}},
            {"terms", found.terms},
            {"scales", found.scales},
            {"patches", text_of(found.patches)},
            {"texts", text_of(found.texts)},
            {"error", found.error}};
  }

  const ShownModel& model_;
  const Evaluation& evaluation_;
  const nlohmann::json& wish_;
  const PluginInfo& plugin_;
  std::shared_ptr<Dataset> dataset_;
  TowerEncoder encoder_;
};

void illustrate_cell(const nlohmann::json& wishes, int64_t threads, const Catalogue& catalogue) {
  const RunFolder folder{wishes.at("folder").get<std::string>()};
  const std::string weights = wishes.value("weights", "student");
  const ShownModel model = load_shown(folder, weights, catalogue);
  for (const nlohmann::json& wish : wishes.at("evaluations")) {
    const std::string name = wish.at("name");
    const auto evaluation = std::ranges::find(model.cell.evaluations, name, &Evaluation::name);
    if (evaluation == model.cell.evaluations.end()) throw Error("the cell has no evaluation \"" + name + "\"");
    const nlohmann::json gallery = Illustrator(model, *evaluation, wish, catalogue, threads).gallery();
    std::filesystem::create_directories(folder.gallery());
    write_file_durably(folder.gallery() / (path_name(name) + "-" + weights + ".json"),
                       gallery.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  }
}

bool is_part_of_word(char c) { return static_cast<uint8_t>(c) >= 0x80 || std::isalnum(static_cast<uint8_t>(c)) != 0; }

void add_words(const std::string& caption, std::set<std::string>& words) {
  constexpr std::size_t kShortest = 3;
  std::string word;
  for (const char c : caption + " ") {
    if (is_part_of_word(c)) {
      word += static_cast<uint8_t>(c) < 0x80 ? static_cast<char>(std::tolower(static_cast<uint8_t>(c))) : c;
      continue;
    }
    if (word.size() >= kShortest) words.insert(word);
    word.clear();
  }
}

}  // namespace

void illustrate(const nlohmann::json& question, int64_t threads, const Catalogue& catalogue,
                const std::function<void(const nlohmann::json& line)>& emit) {
  prepare_torch(threads, at::kCPU);
  for (const nlohmann::json& cell : question.at("cells")) {
    const std::string folder = cell.at("folder");
    emit({{"begin", folder}});
    try {
      illustrate_cell(cell, std::max<int64_t>(1, threads), catalogue);
      emit({{"illustrated", folder}});
    } catch (const std::exception& error) {
      emit({{"folder", folder}, {"fault", one_line(error)}});
    }
  }
  emit({{"done", true}});
}

std::vector<std::string> caption_words(const Dataset& dataset, std::size_t most) {
  constexpr int64_t kMostSamples = 3000;
  std::map<std::string, int64_t> samples_with;
  const int64_t count = std::min(kMostSamples, dataset.size());
  for (int64_t k = 0; k < count; ++k) {
    std::set<std::string> words;
    for (const std::string& caption : dataset.captions(spread(k, count, dataset.size()))) add_words(caption, words);
    for (const std::string& word : words) ++samples_with[word];
  }
  std::vector<std::pair<std::string, int64_t>> frequent(samples_with.begin(), samples_with.end());
  std::ranges::stable_sort(frequent, std::greater{}, &std::pair<std::string, int64_t>::second);
  if (frequent.size() > most) frequent.resize(most);
  std::vector<std::string> words;
  for (const auto& [word, number] : frequent) words.push_back(word);
  std::ranges::sort(words);
  return words;
}

std::vector<uint8_t> runs_of(const std::vector<uint8_t>& bytes) {
  std::vector<uint8_t> runs;
  for (std::size_t i = 0; i < bytes.size();) {
    std::size_t end = i;
    while (end < bytes.size() && bytes[end] == bytes[i]) ++end;
    std::size_t length = end - i;
    for (; length >= 0x80; length >>= 7) runs.push_back(static_cast<uint8_t>(length | 0x80));
    runs.push_back(static_cast<uint8_t>(length));
    runs.push_back(bytes[i]);
    i = end;
  }
  return runs;
}

}  // namespace silc
