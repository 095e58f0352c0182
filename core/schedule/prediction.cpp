#include "schedule/prediction.h"

#include <algorithm>
#include <exception>
#include <future>
#include <vector>

#include "schedule/temporary_file.h"
#include "silc/error.h"

namespace silc {

namespace {

// As many engines as the cell has ranks measure together. The answer is the first one's; where they fail, the words of
// the first that has some of its own.
nlohmann::json ask_ranks(const Engine& engine, const ResolvedCell& cell, const std::vector<std::string>& question) {
  const auto ranks = static_cast<std::size_t>(cell.engine.ranks);
  const std::vector<Environment> environments = rank_environments(ranks);
  std::vector<std::future<EngineAnswer>> engines;
  for (std::size_t rank = 0; rank < ranks; ++rank)
    engines.push_back(std::async(std::launch::async, [&, rank] {
      return run_engine(engine, question, {}, {}, cell.engine.hang_seconds, environments[rank]);
    }));
  std::vector<EngineAnswer> answers;
  for (auto& each : engines) answers.push_back(each.get());
  // Those that only lost another rank have less to say than that rank itself.
  const auto has_words = [](const EngineAnswer& answer) {
    return failed(answer) && answer.errors.find("silc-engine: rank ") == std::string::npos;
  };
  const auto first = std::find_if(answers.begin(), answers.end(), has_words);
  return parse_answer(engine, question, first == answers.end() ? answers.front() : *first, cell.engine.hang_seconds);
}

}  // namespace

Prediction predict(const Engine& engine, const ResolvedCell& cell, int64_t threads) {
  const TemporaryFile file(write_cell(cell));
  const auto answer =
      ask_ranks(engine, cell, {"measure", "--cell", file.path().string(), "--threads", std::to_string(threads)});
  try {
    Prediction prediction;
    prediction.parameters = answer.at("parameters").get<int64_t>();
    prediction.steps = answer.at("total_steps").get<int64_t>();
    prediction.flops = answer.at("total_flops").get<double>();
    prediction.seconds = answer.at("seconds").get<double>();
    prediction.extrapolated = answer.at("extrapolated").get<bool>();
    const auto bytes = [&](const char* key) {
      return answer.contains(key) && !answer[key].is_null() ? std::optional(answer[key].get<int64_t>()) : std::nullopt;
    };
    prediction.peak_memory = bytes("peak_memory");
    prediction.device_peak_memory = bytes("device_peak_memory");
    prediction.device_memory = bytes("device_memory");
    return prediction;
  } catch (const nlohmann::json::exception&) {
    throw Error("silc-engine measure (" + engine.program.string() +
                ") did not answer as expected; is it of this version?");
  }
}

double side_by_side_seconds(std::span<const double> seconds, int64_t jobs) {
  std::vector<double> free_at(static_cast<std::size_t>(std::max<int64_t>(jobs, 1)), 0.0);
  for (const double each : seconds) *std::min_element(free_at.begin(), free_at.end()) += each;
  return *std::max_element(free_at.begin(), free_at.end());
}

}  // namespace silc
