// Each check catches the fault that it is for, and a sound plugin passes them all.
#include "engine/conformance/conformance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "engine/assembly.h"
#include "engine/conformance/heap.h"
#include "engine/conformance/small_options.h"
#include "plugin/catalogue.h"

namespace silc::conformance {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kLibrary = SILC_BINARY_DIR "/tests/libraries/broken_plugins/broken_plugins.so";

PluginInfo plugin_named(const std::string& name) {
  for (const PluginInfo& plugin : read_plugins(kLibrary))
    if (plugin.name == name) return plugin;
  throw Error("there is no " + name);
}

std::vector<nlohmann::json> check(const std::string& name, const std::string& fault) {
  static const bool prepared = (prepare_torch(1, at::kCPU), true);  // once in a process
  EXPECT_TRUE(prepared);
  std::vector<nlohmann::json> lines;
  check_plugin(plugin_named(name), {{"fault", fault}}, [&](const nlohmann::json& line) { lines.push_back(line); });
  return lines;
}

struct Case {
  std::string plugin;
  std::string fault;
  std::set<std::string> failing;
};

void PrintTo(const Case& c, std::ostream* stream) { *stream << c.plugin << " with the fault " << c.fault; }

class Faults : public ::testing::TestWithParam<Case> {};

TEST_P(Faults, AreCaughtByTheirChecksAlone) {
  std::set<std::string> failing;
  std::string report;
  for (const nlohmann::json& line : check(GetParam().plugin, GetParam().fault)) {
    report += line.dump() + "\n";
    if (line.value("verdict", "") == "failed") failing.insert(line["check"]);
  }
  EXPECT_EQ(failing, GetParam().failing) << report;
}

std::string test_name(const ::testing::TestParamInfo<Case>& info) { return info.param.plugin + "_" + info.param.fault; }

// A loss that changes from call to call has no derivative either.
INSTANTIATE_TEST_SUITE_P(
    OfObjectives, Faults,
    ::testing::Values(Case{"broken_objective", "none", {}},
                      Case{"broken_objective", "hidden", {"resumable", "gradients"}},
                      Case{"broken_objective", "random", {"repeatable", "resumable", "gradients"}},
                      Case{"broken_objective", "gradient", {"gradients"}},
                      Case{"broken_objective", "unused", {"parameters"}}, Case{"broken_objective", "leak", {"memory"}},
                      Case{"broken_objective", "nan", {"extremes", "small batches"}},
                      Case{"broken_objective", "batch", {"small batches"}}, Case{"broken_objective", "bf16", {"bf16"}},
                      Case{"broken_objective", "teacher", {"teacher"}}, Case{"broken_objective", "misses", {"health"}},
                      Case{"broken_objective", "alarms", {"health"}}, Case{"broken_objective", "needs", {"needs"}},
                      Case{"broken_objective", "ranks", {"ranks"}}),
    test_name);

INSTANTIATE_TEST_SUITE_P(
    OfImageBackbones, Faults,
    ::testing::Values(Case{"broken_backbone", "none", {}}, Case{"broken_backbone", "columns", {"patch order"}},
                      Case{"broken_backbone", "batch", {"alone"}}, Case{"broken_backbone", "gradient", {"gradients"}},
                      Case{"broken_backbone", "mask", {"masking"}}, Case{"broken_backbone", "grid", {"masking"}},
                      Case{"broken_backbone", "inference", {"after evaluation"}},
                      Case{"broken_backbone", "shape", {"shapes", "masking"}},
                      Case{"broken_backbone", "unused", {"parameters"}}),
    test_name);

INSTANTIATE_TEST_SUITE_P(OfTextBackbones, Faults,
                         ::testing::Values(Case{"broken_text", "none", {}},
                                           Case{"broken_text", "random", {"repeatable", "alone", "gradients"}},
                                           Case{"broken_text", "deaf", {"shapes"}}),
                         test_name);

INSTANTIATE_TEST_SUITE_P(
    OfDatasets, Faults,
    ::testing::Values(Case{"broken_data", "none", {}}, Case{"broken_data", "pixels", {"samples"}},
                      Case{"broken_data", "caption", {"samples", "captions"}},
                      Case{"broken_data", "label", {"samples"}}, Case{"broken_data", "mask", {"samples"}},
                      Case{"broken_data", "box", {"samples"}}, Case{"broken_data", "random", {"repeatable"}},
                      Case{"broken_data", "captions", {"captions"}},
                      Case{"broken_data", "fingerprint", {"fingerprint"}}, Case{"broken_data", "split", {"splits"}},
                      Case{"broken_data", "classes", {"classes"}}),
    test_name);

INSTANTIATE_TEST_SUITE_P(OfTokenizers, Faults,
                         ::testing::Values(Case{"broken_tokenizer", "none", {}},
                                           Case{"broken_tokenizer", "length", {"rows", "odd texts", "truncation"}},
                                           Case{"broken_tokenizer", "range", {"rows", "odd texts", "truncation"}},
                                           Case{"broken_tokenizer", "end", {"rows", "odd texts", "truncation"}},
                                           Case{"broken_tokenizer", "padding", {"rows", "odd texts"}},
                                           Case{"broken_tokenizer", "utf8", {"odd texts", "repeatable"}},
                                           Case{"broken_tokenizer", "truncation", {"rows", "odd texts", "truncation"}},
                                           Case{"broken_tokenizer", "state", {"repeatable", "truncation"}},
                                           Case{"broken_tokenizer", "deaf", {"distinct", "truncation"}}),
                         test_name);

INSTANTIATE_TEST_SUITE_P(
    OfEvaluators, Faults,
    ::testing::Values(Case{"broken_evaluator", "none", {}}, Case{"broken_evaluator", "percent", {"metrics"}},
                      Case{"broken_evaluator", "count", {"metrics"}}, Case{"broken_evaluator", "twice", {"metrics"}},
                      Case{"broken_evaluator", "random", {"repeatable", "batches"}},
                      Case{"broken_evaluator", "batches", {"batches"}}, Case{"broken_evaluator", "rows", {"samples"}},
                      Case{"broken_evaluator", "none_at_all", {"samples"}},
                      Case{"broken_evaluator", "blind", {"knowledge"}}, Case{"broken_evaluator", "beyond", {"runs"}},
                      Case{"broken_evaluator", "needs", {"needs"}}),
    test_name);

std::string message_of(const std::string& plugin, const std::string& fault, const std::string& check_name) {
  for (const nlohmann::json& line : check(plugin, fault))
    if (line.value("check", "") == check_name) return line["message"];
  return "";
}

TEST(Report, NamesTheParameterThatIsNotTrained) {
  EXPECT_THAT(message_of("broken_objective", "unused", "parameters"), HasSubstr("\"objective.forgotten.weight\""));
}

TEST(Report, NamesTheMetricThatNoStepReports) {
  EXPECT_THAT(message_of("broken_objective", "misses", "health"), HasSubstr("\"loss/contrastve\""));
}

TEST(Report, NamesTheCaseThatIsNotFinite) {
  EXPECT_THAT(message_of("broken_objective", "nan", "extremes"), HasSubstr("all captions the same"));
}

TEST(Report, TellsHowFarTwoRanksAreFromOne) {
  EXPECT_THAT(message_of("broken_objective", "ranks", "ranks"), HasSubstr("whole_batch()"));
}

TEST(Report, NamesTheNeedThatIsNotDeclared) {
  EXPECT_THAT(message_of("broken_objective", "needs", "needs"), HasSubstr("silc::needs(silc::Need::labels)"));
  EXPECT_THAT(message_of("broken_evaluator", "needs", "needs"), HasSubstr("silc::needs(silc::Need::boxes)"));
}

TEST(SmallOptions, AreMadeSmallUnlessTheyAreChosen) {
  PluginInfo plugin;
  plugin.name = "p";
  plugin.options = {integer_option("width", 768, 1, 1024, "width").record,
                    integer_option("queue", 65536, 1000, 100000, "length of the queue").record,
                    integer_option("views", 6, 0, 10, "views").record,
                    integer_option("prototypes", 4096, 1, 10000, "prototypes").record};
  const Options options = small_options(plugin, {{"prototypes", 300}});
  EXPECT_EQ(std::get<int64_t>(options.values().at("width")), 64);
  EXPECT_EQ(std::get<int64_t>(options.values().at("queue")), 1000) << "its minimum";
  EXPECT_EQ(std::get<int64_t>(options.values().at("views")), 6);
  EXPECT_EQ(std::get<int64_t>(options.values().at("prototypes")), 300);
  EXPECT_EQ(changed_options(plugin, options), nlohmann::json({{"width", 64}, {"queue", 1000}, {"prototypes", 300}}));
}

TEST(Growth, IsALeakWhereEveryStepLeavesSomething) {
  EXPECT_EQ(describe_growth(std::vector<int64_t>{100, 100, 100, 100}), "");
  EXPECT_EQ(describe_growth(std::vector<int64_t>{100, 5000, 5000, 5000, 5000, 5000}), "") << "grown once";
  EXPECT_THAT(describe_growth(std::vector<int64_t>{100, 400, 700, 1000, 1300}), HasSubstr("300 bytes a step"));
}

}  // namespace
}  // namespace silc::conformance
