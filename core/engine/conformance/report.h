// What the conformance kit finds out about a plugin, one check at a time.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/failure.h"
#include "plugin/catalogue.h"

namespace silc::conformance {

enum class Verdict { passed, failed, not_applicable };

struct Outcome {
  Verdict verdict = Verdict::passed;
  std::string message;                                // what failed and where, why it does not apply, or a remark
  nlohmann::json figures = nlohmann::json::object();  // {"milliseconds": 12.5}
};

inline Outcome passed(std::string message = "", nlohmann::json figures = nlohmann::json::object()) {
  return {Verdict::passed, std::move(message), std::move(figures)};
}
inline Outcome failed(std::string message, nlohmann::json figures = nlohmann::json::object()) {
  return {Verdict::failed, std::move(message), std::move(figures)};
}
inline Outcome not_applicable(std::string why) { return {Verdict::not_applicable, std::move(why), {}}; }

// Where the lines of a report go, as they come: {"begin": NAME}, then {"check": NAME, "verdict": "passed", "failed" or
// "not applicable", "message", "figures", "rule"}.
using Emit = std::function<void(const nlohmann::json& line)>;

class Report {
 public:
  Report(const PluginInfo& plugin, Emit emit) : kind_(plugin.kind), name_(plugin.name), emit_(std::move(emit)) {}

  // Runs `work`, which gives an Outcome. `rule`: the header's rule that it checks, and in which header. Whatever `work`
  // throws is a failure.
  template <class Work>
  void check(const std::string& name, const std::string& rule, Work&& work) {
    emit_({{"begin", name}});
    Outcome outcome;
    try {
      outcome = in_plugin(kind_, name_, std::forward<Work>(work));
    } catch (const std::exception& error) {
      outcome = failed(without_title(error.what()));
    }
    add(name, rule, outcome);
  }

 private:
  void add(const std::string& name, const std::string& rule, const Outcome& outcome);
  // The reader knows which plugin is checked.
  [[nodiscard]] std::string without_title(std::string message) const;

  PluginKind kind_;
  std::string name_;
  Emit emit_;
};

// Whether a plugin works without what it does not declare to need. `work` tries it without the needs of a set, and
// throws where that fails. Where it fails, each is tried alone, so that the one can be named.
Outcome check_needs(const PluginInfo& plugin, const std::function<void(uint32_t lacking)>& work);

// The declaration: every option says what it is for, and the plugin says what it is.
Outcome check_declaration(const PluginInfo& plugin);

}  // namespace silc::conformance
