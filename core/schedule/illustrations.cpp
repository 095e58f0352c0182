#include "schedule/illustrations.h"

#include "files/run_folder.h"
#include "silc/error.h"

namespace silc {

namespace {

constexpr double kPatience = 1800;  // seconds for one cell

// What the engine has told so far.
struct Told {
  std::string rest;  // of a line that is not over
  std::string at;    // the folder that it is at; empty: none
  bool done = false;
  std::map<std::string, std::string> faults;

  void take(std::string_view piece, const std::function<void(const std::string&)>& over) {
    rest += piece;
    for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
      const auto line = nlohmann::json::parse(rest.substr(0, end), nullptr, /*allow_exceptions=*/false);
      rest.erase(0, end + 1);
      if (!line.is_object()) continue;
      done = done || line.contains("done");
      if (line.contains("begin")) at = line.value("begin", "");
      if (line.contains("fault")) faults[line.value("folder", "")] = line.value("fault", "");
      if (!line.contains("fault") && !line.contains("illustrated")) continue;
      if (over) over(at);
      at.clear();
    }
  }
};

std::string words_of(const EngineAnswer& answer) {
  if (answer.gave_up) return "the engine hung";
  if (answer.end.signal != 0) return "the engine was killed by " + signal_name(answer.end.signal);
  const std::string said = answer.errors.substr(0, answer.errors.find_last_not_of('\n') + 1);
  const std::string last = said.substr(said.rfind('\n') + 1);
  return last.empty() ? "the engine ended without an answer" : last;
}

}  // namespace

std::map<std::string, std::string> make_illustrations(const Engine& engine, nlohmann::json question, int64_t threads,
                                                      const std::function<void(const std::string& folder)>& done) {
  std::map<std::string, std::string> faults;
  while (!question.at("cells").empty()) {
    Told told;
    const EngineAnswer answer = run_engine(
        engine, {"illustrate", "--threads", std::to_string(threads)}, question.dump(),
        [&](std::string_view piece) { told.take(piece, done); }, kPatience);
    faults.merge(told.faults);
    if (told.done) break;
    if (told.at.empty()) throw Error(words_of(answer));
    faults[told.at] = words_of(answer);
    if (done) done(told.at);
    auto& cells = question["cells"];
    while (!cells.empty()) {
      const bool last = cells.front().value("folder", "") == told.at;
      cells.erase(cells.begin());
      if (last) break;
    }
  }
  return faults;
}

}  // namespace silc
