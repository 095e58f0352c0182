// Retrieval of pictures by captions and of captions by pictures (Karpathy & Fei-Fei 2015; as in CLIP_benchmark).
//
// image_retrieval_recall@k: the fraction of captions whose picture is among the k nearest pictures.
// text_retrieval_recall@k: the fraction of pictures of which at least one caption is among the k nearest captions.
//
// All pictures against all captions. Only a picture's own captions count: the same words under another picture are a
// miss, as in CLIP_benchmark. Such captions have equal scores, and of equal scores the lower index ranks first.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "plugins/evaluators/prompts.h"
#include "plugins/evaluators/ranking.h"

namespace silc::evaluators::retrieval {
namespace {

constexpr auto kCaptionsUsed =
    integer_option("captions", 5, 1, 1000, "captions of a picture that are used at most, the first ones");

constexpr std::string_view kName = "retrieval";
constexpr std::array<int64_t, 3> kCutoffs = {1, 5, 10};
constexpr int64_t kNearest = 5;
constexpr int64_t kScoresAtOnce = int64_t{1} << 23;  // bounds a tile of scores to 32 MB
constexpr int64_t kTextsAtOnce = 256;

// Each different caption is embedded once: it costs less, and equal captions get equal embeddings to the last bit.
struct Captions {
  std::vector<std::string> different;
  std::vector<int64_t> text;   // of each caption: index into `different`
  std::vector<int64_t> image;  // of each caption: its picture
};

class CaptionCollector {
 public:
  void add(const std::string& caption, int64_t image) {
    const auto [found, is_new] = seen_.try_emplace(caption, static_cast<int64_t>(captions_.different.size()));
    if (is_new) captions_.different.push_back(caption);
    captions_.text.push_back(found->second);
    captions_.image.push_back(image);
  }
  [[nodiscard]] const Captions& captions() const { return captions_; }

 private:
  Captions captions_;
  std::unordered_map<std::string, int64_t> seen_;
};

at::Tensor embed_all(Encoder& encoder, const std::vector<std::string>& texts) {
  std::vector<at::Tensor> parts;
  const std::span<const std::string> all(texts);
  for (std::size_t first = 0; first < all.size(); first += kTextsAtOnce) {
    parts.push_back(encoder.embed_texts(all.subspan(first, std::min<std::size_t>(kTextsAtOnce, all.size() - first))));
    check_finite(parts.back(), kName);
  }
  return at::cat(parts);
}

// What a search finds for each of its queries.
struct Found {
  at::Tensor ranks;    // [Q] int64, of what was looked for, from 0
  at::Tensor nearest;  // [Q, k] int64, what ranks first; k: kNearest or all that there are
};

// Columns by descending score; of equal scores, the lower index first. scores: [Q, K], which it uses up → [Q, k].
at::Tensor nearest_of(at::Tensor scores) {
  constexpr double kTaken = -2;  // cosines are at least −1
  std::vector<at::Tensor> places;
  for (int64_t k = 0; k < std::min(kNearest, scores.size(1)); ++k) {
    places.push_back(scores.argmax(1, /*keepdim=*/true));
    scores.scatter_(1, places.back(), kTaken);
  }
  return at::cat(places, 1);
}

// search(first, last) for rows in tiles, so that memory does not grow with the square of the dataset.
template <class Search>
Found in_tiles(int64_t rows, int64_t columns, const Search& search) {
  const int64_t step = std::max<int64_t>(1, kScoresAtOnce / std::max<int64_t>(1, columns));
  std::vector<at::Tensor> ranks, nearest;
  for (int64_t first = 0; first < rows; first += step) {
    const Found part = search(first, std::min(first + step, rows));
    ranks.push_back(part.ranks);
    nearest.push_back(part.nearest);
  }
  return {at::cat(ranks), at::cat(nearest)};
}

// For each caption the rank of its picture among all pictures. images: [n, E], texts: [U, E], text and image: [m].
Found find_images(const at::Tensor& images, const at::Tensor& texts, const at::Tensor& text, const at::Tensor& image) {
  return in_tiles(text.size(0), images.size(0), [&](int64_t first, int64_t last) {
    const at::Tensor queries = texts.index_select(0, text.slice(0, first, last));  // [t, E]
    const at::Tensor scores = cosines(queries, images);                            // [t, n]
    const at::Tensor ranks = rank_of(scores, image.slice(0, first, last));
    return Found{ranks, nearest_of(scores)};
  });
}

// For each picture the best rank of its captions among all captions. Captions stand in the order of their pictures.
Found find_texts(const at::Tensor& images, const at::Tensor& texts, const at::Tensor& text, const at::Tensor& image) {
  return in_tiles(images.size(0), text.size(0), [&](int64_t first, int64_t last) {
    const at::Tensor scores = cosines(images.slice(0, first, last), texts).index_select(1, text);  // [t, m]
    const at::Tensor rows = at::arange(first, last, image.options()).unsqueeze(1);
    const at::Tensor own = image.unsqueeze(0).eq(rows);  // [t, m]
    // Cosines are at least −1. The first of equal own captions is the one that ranks before the others.
    const at::Tensor best = scores.masked_fill(own.logical_not(), -2).argmax(1);
    const at::Tensor ranks = rank_of(scores, best);
    return Found{ranks, nearest_of(scores)};
  });
}

void add_recalls(Scores& scores, const std::string& direction, const at::Tensor& ranks) {
  for (const int64_t k : kCutoffs) {
    const std::string name = fmt::format("{}_retrieval_recall@{}", direction, k);
    const at::Tensor found = ranks.lt(k).to(at::kFloat);
    scores.metrics.push_back({name, found.mean(at::kDouble).item<double>(), found.size(0)});
    scores.samples[name] = found;
  }
}

class Retrieval : public Evaluator {
 public:
  explicit Retrieval(const EvaluatorContext& /*context*/) {}

  Scores evaluate(const EvaluationContext& context) override {
    const auto most = static_cast<std::size_t>(context.options[kCaptionsUsed]);
    CaptionCollector collector;
    std::vector<at::Tensor> parts;
    context.for_each_batch([&](std::span<const Sample> batch, int64_t first) {
      for (std::size_t i = 0; i < batch.size(); ++i) {
        const int64_t image = first + static_cast<int64_t>(i);
        if (batch[i].captions.empty())
          throw Error(fmt::format("evaluator \"{}\": picture {} of the dataset has no caption", kName, image));
        for (std::size_t c = 0; c < std::min(most, batch[i].captions.size()); ++c)
          collector.add(batch[i].captions[c], image);
      }
      parts.push_back(context.encoder.embed_images(batch));
      check_finite(parts.back(), kName);
    });
    if (parts.empty()) throw Error(fmt::format("evaluator \"{}\": the dataset has no pictures", kName));

    const at::Tensor images = at::cat(parts);  // [n, E]
    const Captions& captions = collector.captions();
    const at::Tensor texts = embed_all(context.encoder, captions.different);  // [U, E]
    const at::Tensor text = at::tensor(captions.text, at::kLong);             // [m]
    const at::Tensor image = at::tensor(captions.image, at::kLong);           // [m]
    Scores scores;
    const Found found_images = find_images(images, texts, text, image);
    const Found found_texts = find_texts(images, texts, text, image);
    add_recalls(scores, "image", found_images.ranks);
    add_recalls(scores, "text", found_texts.ranks);
    // For people who want to see hits and misses; captions by their place among all that were used.
    scores.samples["nearest_pictures"] = found_images.nearest;  // [m, k]
    scores.samples["nearest_captions"] = found_texts.nearest;   // [n, k]
    scores.samples["picture"] = image;  // [m], so that a picture's captions stay together in statistics
    return scores;
  }
};

}  // namespace

SILC_EVALUATOR(retrieval, Retrieval, 1,
               "image_retrieval_recall@1/5/10 by caption and text_retrieval_recall@1/5/10 by picture",
               may_need(Need::several_captions), kCaptionsUsed);

}  // namespace silc::evaluators::retrieval
