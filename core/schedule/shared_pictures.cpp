#include "schedule/shared_pictures.h"

#include <algorithm>
#include <vector>

#include "plugin/option_values.h"
#include "silc/error.h"

namespace silc {

namespace {

// Enough to find most of what is shared by sets of up to a hundred thousand pictures, and read within a second.
constexpr int64_t kPictures = 1000;

}  // namespace

std::map<std::string, PictureSample> look_at_pictures(const Engine& engine, std::span<const DataSource> sources,
                                                      double patience) {
  std::map<std::string, nlohmann::json> questions;  // by item
  for (const DataSource& source : sources)
    questions.try_emplace(source_item(source), nlohmann::json{{"dataset", source.dataset.name},
                                                              {"split", source.split},
                                                              {"options", options_to_json(source.dataset.options)},
                                                              {"pictures", kPictures}});
  auto asked = nlohmann::json::array();
  for (const auto& [item, question] : questions) asked.push_back(question);
  const auto answers = ask_engine(engine, {"fingerprint"}, asked.dump(), patience);
  if (!answers.is_array() || answers.size() != questions.size())
    throw Error("silc-engine fingerprint (" + engine.program.string() +
                ") did not answer every question; is it of this version?");
  std::map<std::string, PictureSample> samples;
  std::size_t next = 0;
  for (const auto& [item, question] : questions) {
    const auto& answer = answers[next++];
    if (!answer.contains("pictures")) continue;
    PictureSample& sample = samples[item];
    sample.size = answer.at("size");
    for (const auto& hash : answer.at("pictures")) sample.hashes.insert(hash.get<std::string>());
  }
  return samples;
}

double shared_part(const PictureSample& one, const PictureSample& other) {
  const auto found = std::count_if(one.hashes.begin(), one.hashes.end(),
                                   [&](const std::string& hash) { return other.hashes.contains(hash); });
  if (found < std::min<int64_t>(2, one.size)) return 0;
  const double of_one = static_cast<double>(found) / static_cast<double>(one.hashes.size());
  const double looked_at = std::min(1.0, static_cast<double>(other.hashes.size()) / static_cast<double>(other.size));
  return std::min(1.0, of_one / looked_at);
}

}  // namespace silc
