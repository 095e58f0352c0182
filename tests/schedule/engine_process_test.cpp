#include "schedule/engine_process.h"

#include <gmock/gmock.h>

#include "fixture.h"
#include "schedule/fingerprints.h"
#include "schedule/prediction.h"
#include "silc/error.h"

namespace silc {
namespace {

using ::testing::HasSubstr;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(EngineProcess, IsFoundThroughTheEnvironment) {
  const std::string program = fake_engine().program.string();
  const ScopedVariable variable("SILC_ENGINE", program);
  EXPECT_EQ(find_engine(), program);
}

TEST(EngineProcess, AMissingEngineIsNamed) {
  const ScopedVariable variable("SILC_ENGINE", "/nowhere/silc-engine");
  EXPECT_THAT(message_of([] { find_engine(); }), HasSubstr("/nowhere/silc-engine: No such file or directory"));
}

TEST(EngineProcess, AProgramThatTheSystemRefusesIsNamed) {
  const TemporaryFolder folder;
  const auto program = folder.path() / "silc-engine";
  append(program,
         "\x7f"
         "ELF nonsense");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  EXPECT_THAT(message_of([&] {
                ask_engine({program, {}}, {"about"});
              }),
              HasSubstr(program.string() + ": cannot be run"));
}

TEST(EngineProcess, AnAnswerThatIsNotJsonIsRefused) {
  EXPECT_THAT(message_of([] { ask_engine({"/bin/echo", {}}, {"hello"}); }), HasSubstr("not JSON"));
}

TEST(EngineProcess, ALongQuestionIsReadWhole) {
  const std::string text(1 << 20, 'x');
  EXPECT_EQ(ask_engine({"/bin/cat", {}}, {"-"}, '"' + text + '"').get<std::string>(), text);
}

TEST(Fingerprints, FillInTrainingAndEvaluationData) {
  std::vector<ResolvedCell> cells = {make_cell("CLIP"), make_cell("SILC")};
  cells[1].evaluations.push_back(
      {{PluginKind::evaluator, "retrieval", 1, {}}, {{PluginKind::dataset, "shapes", 1, {}}, "test", ""}, "retrieval"});
  EXPECT_TRUE(fill_fingerprints(fake_engine(), cells).empty());
  EXPECT_EQ(cells[0].train.fingerprint, "shapes-train");
  EXPECT_EQ(cells[1].evaluations[0].data.fingerprint, "shapes-test");
}

TEST(Fingerprints, TellWhichDataCannotBeReadAndWhoReadsThem) {
  const ScopedVariable variable("FAKE_ENGINE_DATA", "missing");
  std::vector<ResolvedCell> cells = {make_cell("CLIP")};
  cells[0].evaluations.push_back(
      {{PluginKind::evaluator, "retrieval", 1, {}}, {{PluginKind::dataset, "shapes", 1, {}}, "test", ""}, "retrieval"});
  const auto unreadable = fill_fingerprints(fake_engine(), cells);
  ASSERT_EQ(unreadable.size(), 2) << "its splits";
  EXPECT_EQ(unreadable[0].message, "dataset \"shapes\": /data/shapes is missing; set SILC_DATA");
  EXPECT_EQ(unreadable[0].item, source_item(cells[0].evaluations[0].data));
  ASSERT_EQ(unreadable[0].uses.size(), 1);
  EXPECT_EQ(unreadable[0].uses[0], std::pair(std::as_const(cells).data(), std::string("evaluate.0.dataset")));
  EXPECT_EQ(unreadable[1].uses[0].second, "data.train");
}

TEST(Fingerprints, OfADatasetThatHangsAreGivenUp) {
  const ScopedVariable data("FAKE_ENGINE_DATA", "hang");
  std::vector<ResolvedCell> cells = {make_cell("CLIP")};
  cells[0].engine.hang_seconds = 0.2;
  const std::string message = message_of([&] { fill_fingerprints(fake_engine(), cells); });
  EXPECT_THAT(message, HasSubstr("did not answer for 0.2 s (engine.hang_seconds) and was ended"));
  EXPECT_THAT(message, HasSubstr("of: shapes"));
}

TEST(Prediction, AsksTheEngineAndLeavesNoFile) {
  const TemporaryFolder folder;
  const ScopedVariable variable("TMPDIR", folder.path().string());
  const Prediction prediction = predict(fake_engine(), make_cell("CLIP"), 2);
  EXPECT_EQ(prediction.steps, 4);
  EXPECT_DOUBLE_EQ(prediction.flops, 4e6);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Prediction, AFailureIsToldInTheEnginesWordsAndLeavesNoFile) {
  const TemporaryFolder folder;
  const ScopedVariable directory("TMPDIR", folder.path().string());
  const ScopedVariable behaviour("FAKE_ENGINE_MEASURE", "fail");
  EXPECT_EQ(message_of([] { predict(fake_engine(), make_cell("CLIP"), 2); }), "batch 128 does not fit into memory");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Prediction, CellsSideBySideTakeAsLongAsTheBusiestJob) {
  const std::vector<double> seconds = {3, 1, 1, 4};
  EXPECT_EQ(side_by_side_seconds(seconds, 1), 9);
  EXPECT_EQ(side_by_side_seconds(seconds, 2), 6) << "3 | 1, 1, 4";
  EXPECT_EQ(side_by_side_seconds(seconds, 10), 4);
  EXPECT_EQ(side_by_side_seconds({}, 2), 0);
}

}  // namespace
}  // namespace silc
