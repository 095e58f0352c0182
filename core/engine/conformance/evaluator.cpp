#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "engine/conformance/bits.h"
#include "engine/conformance/conformance.h"
#include "engine/conformance/practice.h"
#include "engine/cost.h"
#include "engine/tower_encoder.h"
#include "plugin/loader.h"
#include "silc/random.h"

namespace silc::conformance {
namespace {

constexpr int64_t kSamples = 42;  // six of each of seven classes
constexpr int64_t kGrid = 4;

uint64_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

uint64_t hash_of(const Image& image) {
  return hash_of({reinterpret_cast<const char*>(image.rgb.data()), image.rgb.size()});
}

at::Tensor normalized(const at::Tensor& rows) { return rows / rows.norm(2, {-1}, true).clamp_min(1e-12); }

at::Tensor random_row(uint64_t seed, int64_t length) {
  at::Tensor row = at::empty({length});
  Random random(seed, 0, 0);
  for (int64_t i = 0; i < length; ++i) row[i] = random.normal();
  return row;
}

std::vector<std::vector<int64_t>> words_of(std::span<const std::string> texts) {
  std::vector<std::vector<int64_t>> all;
  for (const std::string& text : texts) {
    std::vector<int64_t>& words = all.emplace_back();
    std::istringstream stream(text);
    for (std::string word; stream >> word;) words.push_back(static_cast<int64_t>(hash_of(word) >> 1));
  }
  return all;
}

// Knows the practice data by heart: a picture's embedding is made of its number and its class, a caption's of the
// number, a prompt's of the class that it names, a patch's of the class of its middle pixel.
class Oracle : public Encoder {
 public:
  explicit Oracle(const PracticeDataset& dataset) : classes_(dataset.classes()), samples_(dataset.size()) {
    for (int64_t i = 0; i < samples_; ++i)
      for (const std::string& caption : dataset.sample(i).captions) pictures_[caption] = i;
  }

  at::Tensor embed_images(std::span<const Sample> samples) override {
    at::Tensor rows = at::zeros({static_cast<int64_t>(samples.size()), dim()});
    for (std::size_t b = 0; b < samples.size(); ++b) {
      at::Tensor row = rows[static_cast<int64_t>(b)];
      const auto picture = samples[b].captions.empty() ? pictures_.end() : pictures_.find(samples[b].captions[0]);
      if (picture != pictures_.end()) row[picture->second] = 1;
      if (samples[b].label >= 0) row[samples_ + samples[b].label] = 1;
    }
    return normalized(rows);
  }

  [[nodiscard]] bool writes_captions() const override { return true; }

  std::vector<std::vector<int64_t>> write_captions(std::span<const Sample> samples) override {
    std::vector<std::string> own;
    for (const Sample& sample : samples) own.push_back(sample.captions.at(0));
    return tokenize(own);
  }

  std::vector<std::vector<int64_t>> tokenize(std::span<const std::string> texts) override { return words_of(texts); }

  at::Tensor caption_log_likelihoods(std::span<const Sample> samples, std::span<const std::string> texts) override {
    at::Tensor values = at::empty({static_cast<int64_t>(samples.size())});
    for (std::size_t b = 0; b < samples.size(); ++b) {
      const auto& own = samples[b].captions;
      values[static_cast<int64_t>(b)] = std::find(own.begin(), own.end(), texts[b]) == own.end() ? -9.0 : -0.1;
    }
    return values;
  }

  PatchEmbeddings embed_patches(std::span<const Sample> samples) override {
    at::Tensor values = at::zeros({static_cast<int64_t>(samples.size()), kGrid * kGrid, dim()});
    for (std::size_t b = 0; b < samples.size(); ++b) {
      const Sample& sample = samples[b];
      for (int64_t n = 0; n < kGrid * kGrid; ++n) {
        const int64_t y = (2 * (n / kGrid) + 1) * sample.image.height / (2 * kGrid);
        const int64_t x = (2 * (n % kGrid) + 1) * sample.image.width / (2 * kGrid);
        const auto at = static_cast<std::size_t>(y * sample.image.width + x);
        const int64_t label = at < sample.mask.size() ? sample.mask[at] : sample.label;
        if (label >= 0 && label < static_cast<int64_t>(classes_.size()))
          values[static_cast<int64_t>(b)][n][samples_ + label] = 1;
      }
    }
    return {normalized(values), kGrid, kGrid};
  }

  at::Tensor embed_texts(std::span<const std::string> texts) override {
    at::Tensor rows = at::zeros({static_cast<int64_t>(texts.size()), dim()});
    for (std::size_t t = 0; t < texts.size(); ++t) {
      at::Tensor row = rows[static_cast<int64_t>(t)];
      if (const auto picture = pictures_.find(texts[t]); picture != pictures_.end())
        row[picture->second] = 1;
      else if (const int64_t label = class_in(texts[t]); label >= 0)
        row[samples_ + label] = 1;
      else
        row.copy_(random_row(hash_of(texts[t]), dim()));
    }
    return normalized(rows);
  }

 private:
  [[nodiscard]] int64_t dim() const { return samples_ + static_cast<int64_t>(classes_.size()); }
  [[nodiscard]] int64_t class_in(const std::string& text) const {
    for (std::size_t c = 0; c < classes_.size(); ++c)
      if (text.find(classes_[c]) != std::string::npos) return static_cast<int64_t>(c);
    return -1;
  }

  std::vector<std::string> classes_;
  int64_t samples_;
  std::map<std::string, int64_t> pictures_;  // by caption
};

// Knows nothing, but the same nothing each time.
class Guesser : public Encoder {
 public:
  at::Tensor embed_images(std::span<const Sample> samples) override {
    at::Tensor rows = at::empty({static_cast<int64_t>(samples.size()), kDim});
    for (std::size_t b = 0; b < samples.size(); ++b)
      rows[static_cast<int64_t>(b)] = random_row(hash_of(samples[b].image), kDim);
    return normalized(rows);
  }
  PatchEmbeddings embed_patches(std::span<const Sample> samples) override {
    at::Tensor values = at::empty({static_cast<int64_t>(samples.size()), kGrid * kGrid, kDim});
    for (std::size_t b = 0; b < samples.size(); ++b)
      for (int64_t n = 0; n < kGrid * kGrid; ++n)
        values[static_cast<int64_t>(b)][n] =
            random_row(hash_of(samples[b].image) + static_cast<uint64_t>(n) * 7919, kDim);
    return {normalized(values), kGrid, kGrid};
  }
  [[nodiscard]] bool writes_captions() const override { return true; }
  std::vector<std::vector<int64_t>> write_captions(std::span<const Sample> samples) override {
    std::vector<std::vector<int64_t>> captions;
    for (const Sample& sample : samples) {
      const uint64_t hash = hash_of(sample.image);
      captions.push_back({static_cast<int64_t>(hash % 997), static_cast<int64_t>(hash % 991)});
    }
    return captions;
  }
  std::vector<std::vector<int64_t>> tokenize(std::span<const std::string> texts) override { return words_of(texts); }
  at::Tensor caption_log_likelihoods(std::span<const Sample> samples, std::span<const std::string>) override {
    return at::full({static_cast<int64_t>(samples.size())}, -5.0);
  }
  at::Tensor embed_texts(std::span<const std::string> texts) override {
    at::Tensor rows = at::empty({static_cast<int64_t>(texts.size()), kDim});
    for (std::size_t t = 0; t < texts.size(); ++t) rows[static_cast<int64_t>(t)] = random_row(hash_of(texts[t]), kDim);
    return normalized(rows);
  }

 private:
  static constexpr int64_t kDim = 16;
};

Scores evaluate(const Subject& subject, const PracticeDataset& dataset, Encoder& encoder, int64_t batch = 64) {
  const auto evaluator = make_evaluator(subject.plugin, {.options = subject.options});
  const auto visit_all = [&](const std::function<void(std::span<const Sample>, int64_t)>& visit) {
    for (int64_t first = 0; first < dataset.size(); first += batch) {
      std::vector<Sample> samples;
      for (int64_t i = first; i < std::min(dataset.size(), first + batch); ++i) samples.push_back(dataset.sample(i));
      visit(samples, first);
    }
  };
  return evaluator->evaluate(
      {.options = subject.options, .dataset = dataset, .encoder = encoder, .for_each_batch = visit_all});
}

std::string difference(const Scores& a, const Scores& b, double tolerance) {
  if (a.metrics.size() != b.metrics.size()) return "another number of metrics";
  for (std::size_t i = 0; i < a.metrics.size(); ++i) {
    const Metric &left = a.metrics[i], &right = b.metrics[i];
    if (left.name != right.name || left.n != right.n || !(std::abs(left.value - right.value) <= tolerance))
      return c10::str(left.name, " ", left.value, " (n ", left.n, ") and ", right.name, " ", right.value, " (n ",
                      right.n, ")");
  }
  if (tolerance == 0)
    if (const std::string name = first_difference(a.samples, b.samples); !name.empty())
      return "the scores of single samples \"" + name + "\"";
  return "";
}

class EvaluatorChecks {
 public:
  explicit EvaluatorChecks(const Subject& subject) : subject_(subject), dataset_(kSamples), oracle_(dataset_) {}

  Outcome runs() {
    make_evaluator(subject_.plugin, {.options = subject_.full});
    scores_ = evaluate(subject_, dataset_, oracle_);
    if (scores_.metrics.empty()) return failed("it gives no metric");
    ran_ = true;
    return passed("", {{"metrics", scores_.metrics.size()}, {"samples", kSamples}});
  }

  [[nodiscard]] bool ran() const { return ran_; }

  Outcome metrics() {
    std::set<std::string> names;
    Guesser guesser;
    const Scores guessed = evaluate(subject_, dataset_, guesser);
    for (const Scores* scores : {&std::as_const(scores_), &guessed}) {
      names.clear();
      for (const Metric& metric : scores->metrics) {
        if (metric.name.empty()) return failed("a metric has no name");
        if (!names.insert(metric.name).second) return failed("two metrics are named \"" + metric.name + "\"");
        if (!std::isfinite(metric.value) || metric.value < 0 || metric.value > 1)
          return failed(c10::str(metric.name, " is ", metric.value, ": values are fractions in [0, 1]"));
        if (metric.n <= 0) return failed(c10::str(metric.name, " is a mean over ", metric.n, " things"));
      }
    }
    return passed("", {{"metrics", names}});
  }

  Outcome knowledge() {
    Guesser guesser;
    const Metric guessed = evaluate(subject_, dataset_, guesser).metrics.at(0);
    const Metric known = scores_.metrics.at(0);
    const nlohmann::json figures = {{"all_knowing", known.value}, {"guessing", guessed.value}};
    if (!(known.value > guessed.value))
      return failed(c10::str("the first metric, ", known.name, ", is ", known.value,
                             " for a model that knows all pictures, captions, classes and pixels, and ", guessed.value,
                             " for one that guesses"),
                    figures);
    return passed("", figures);
  }

  Outcome repeatable() {
    const std::string other = difference(scores_, evaluate(subject_, dataset_, oracle_), 0);
    return other.empty() ? passed() : failed("two evaluations of one model differ: " + other);
  }

  Outcome batches() {
    for (const int64_t batch : {1, 5, 16}) {
      const std::string other = difference(scores_, evaluate(subject_, dataset_, oracle_, batch), 1e-6);
      if (!other.empty())
        return failed(
            c10::str("visiting the dataset in batches of ", batch, " instead of 64 gives other results: ", other));
    }
    return passed();
  }

  Outcome samples() {
    if (scores_.samples.empty()) return failed("there are none: paired statistics need the scores of single samples");
    std::set<int64_t> counts = {dataset_.size()};
    for (const Metric& metric : scores_.metrics) counts.insert(metric.n);
    for (const auto& [name, scores] : scores_.samples) {
      if (!scores.defined() || scores.dim() < 1 || scores.dim() > 2)
        return failed("\"" + name + "\" is not [n] or [n, k]");
      if (!scores.is_cpu()) return failed("\"" + name + "\" is not on the CPU");
      const bool of_classes = scores.dim() == 2 && scores.size(0) == scores.size(1);
      if (!of_classes && !counts.contains(scores.size(0)))
        return failed(c10::str("\"", name, "\" has ", scores.size(0), " rows: that is neither the number of samples (",
                               dataset_.size(), ") nor the n of a metric"));
    }
    return passed("", {{"scores", scores_.samples.size()}});
  }

  // A real model, and the sizes of data that lie at the border.
  Outcome model() {
    at::manual_seed(1);
    const auto model = practice_model();
    TowerEncoder encoder = encoder_of(*model, practice_captioner());
    for (const int64_t size : {kSamples, int64_t{1}}) {
      try {
        for (const Metric& metric : evaluate(subject_, PracticeDataset(size), encoder).metrics)
          if (!std::isfinite(metric.value))
            return failed(c10::str("of ", size, " samples: ", metric.name, " is ", metric.value));
      } catch (const Error& error) {
        if (size == kSamples) throw;
        return passed(std::string("a dataset of one sample is refused: ") + error.what());
      }
    }
    return passed();
  }

  Outcome needs() {
    return check_needs(subject_.plugin, [&](uint32_t lacking) {
      at::manual_seed(1);
      const auto model = practice_model(lacking);
      TowerEncoder encoder =
          encoder_of(*model, contains(lacking, Need::caption_decoder) ? nullptr : practice_captioner());
      if (evaluate(subject_, PracticeDataset(kSamples, lacking), encoder).metrics.empty())
        throw Error("it gives no metric");
    });
  }

  Outcome speed() {
    const Stopwatch watch;
    evaluate(subject_, dataset_, oracle_);
    return passed("", {{"milliseconds_per_sample", 1e3 * watch.elapsed().seconds / static_cast<double>(kSamples)}});
  }

 private:
  static TowerEncoder encoder_of(const DualEncoder& model, std::shared_ptr<Captioner> captioner) {
    return TowerEncoder({.image = model.image,
                         .text = model.text,
                         .captioner = std::move(captioner),
                         .tokenizer = std::make_shared<PracticeTokenizer>(),
                         .tokenizer_name = "practice",
                         .image_size = kPracticeImageSize,
                         .context_length = kPracticeContext});
  }

  const Subject& subject_;
  PracticeDataset dataset_;  // refuses an index that it does not have
  Oracle oracle_;
  Scores scores_;  // of the oracle
  bool ran_ = false;
};

}  // namespace

void check_evaluator(const Subject& subject, Report& report) {
  EvaluatorChecks checks(subject);
  report.check("runs", "on data with captions, labels, masks and boxes", [&] { return checks.runs(); });
  const auto check = [&](const std::string& name, const std::string& rule, Outcome (EvaluatorChecks::*work)()) {
    report.check(name, rule, [&] { return checks.ran() ? (checks.*work)() : not_applicable("it does not run"); });
  };
  check("metrics", "evaluator.h: Metric", &EvaluatorChecks::metrics);
  check("knowledge", "a model that knows everything is better than one that guesses", &EvaluatorChecks::knowledge);
  check("repeatable", "the same model gets the same scores", &EvaluatorChecks::repeatable);
  check("batches", "evaluator.h: for_each_batch", &EvaluatorChecks::batches);
  check("samples", "evaluator.h: scores of single samples, [n] or [n, k]", &EvaluatorChecks::samples);
  check("model", "a model fresh from its initial values; 42 samples, and one", &EvaluatorChecks::model);
  check("needs", "plugin.h: needs() and may_need() say what it wants of data and model", &EvaluatorChecks::needs);
  check("speed", "reported, not judged", &EvaluatorChecks::speed);
}

}  // namespace silc::conformance
