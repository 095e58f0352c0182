#include "schedule/fingerprints.h"

#include <algorithm>
#include <map>
#include <set>

#include "plugin/option_values.h"
#include "silc/error.h"

namespace silc {

namespace {

std::string question_of(const DataSource& source) {
  return nlohmann::json{
      {"dataset", source.dataset.name}, {"split", source.split}, {"options", options_to_json(source.dataset.options)}}
      .dump();
}

template <class Visit>
void for_each_source(std::span<ResolvedCell> cells, const Visit& visit) {
  for (ResolvedCell& cell : cells) {
    visit(cell.train);
    for (Evaluation& evaluation : cell.evaluations) visit(evaluation.data);
    for_each_source(std::span(cell.earlier), visit);
  }
}

// The greatest of the cells'; 0, which is endless, is greater than any.
double patience_of(std::span<const ResolvedCell> cells) {
  double patience = 0;
  for (const ResolvedCell& cell : cells) {
    if (cell.engine.hang_seconds == 0) return 0;
    patience = std::max(patience, cell.engine.hang_seconds);
  }
  return patience;
}

nlohmann::json ask_for(const Engine& engine, const std::map<std::string, std::string>& fingerprints,
                       const std::string& questions, double patience) {
  try {
    return ask_engine(engine, {"fingerprint"}, questions, patience);
  } catch (const Error& error) {
    std::set<std::string> datasets;
    for (const auto& [question, fingerprint] : fingerprints)
      datasets.insert(nlohmann::json::parse(question)["dataset"].get<std::string>());
    std::string names;
    for (const std::string& dataset : datasets) names += (names.empty() ? "" : ", ") + dataset;
    throw Error(std::string(error.what()) + "\nThe data were to be read, of: " + names);
  }
}

}  // namespace

void fill_fingerprints(const Engine& engine, std::span<ResolvedCell> cells) {
  std::map<std::string, std::string> fingerprints;  // by question
  for_each_source(cells, [&](const DataSource& source) { fingerprints.emplace(question_of(source), ""); });
  if (fingerprints.empty()) return;

  auto questions = nlohmann::json::array();
  for (const auto& [question, fingerprint] : fingerprints) questions.push_back(nlohmann::json::parse(question));
  const auto answers = ask_for(engine, fingerprints, questions.dump(), patience_of(cells));
  if (!answers.is_array() || answers.size() != fingerprints.size())
    throw Error("silc-engine fingerprint (" + engine.program.string() +
                ") did not answer every question; is it of this version?");

  std::string faults;
  std::set<std::string> told;
  size_t next = 0;
  for (auto& [question, fingerprint] : fingerprints) {
    const auto& answer = answers[next++];
    fingerprint = answer.value("fingerprint", "");
    if (!fingerprint.empty()) continue;
    const std::string fault = answer.value("error", "no fingerprint for " + question);
    if (told.insert(fault).second) faults += (faults.empty() ? "" : "\n") + fault;
  }
  if (!faults.empty()) throw Error(faults);

  for_each_source(cells, [&](DataSource& source) { source.fingerprint = fingerprints.at(question_of(source)); });
}

}  // namespace silc
