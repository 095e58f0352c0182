// What `silc-engine count` makes of a cell with shapes alone, held to what is measured, sent, and counted by others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "schedule/forecast.h"
#include "schedule/temporary_file.h"
#include "tests/end_to_end/engine_runs.h"

namespace silc {
namespace {

using Json = nlohmann::json;

class Count : public testing::EngineRuns {
 protected:
  [[nodiscard]] Json ask(const char* command, const ResolvedCell& cell) const {
    const TemporaryFile file(write_cell(cell));
    std::vector<std::string> arguments = {command, "--cell", file.path().string()};
    if (std::string(command) == "measure") arguments.insert(arguments.end(), {"--threads", "1"});
    return ask_engine(engine_, arguments);
  }

  static double bytes_of(const Json& part) {
    double bytes = 0;
    for (const Json& transfer : part.at("transfers")) bytes += transfer.at("bytes").get<double>();
    return bytes;
  }

  // Of each update but the first, by the step events of rank 0.
  double bytes_sent_in_an_update(const ResolvedCell& cell) {
    const RunFolder run = folder("run", cell);
    const auto lock = FileLock::try_lock(run.lock());
    EngineTeam team(engine_, run.path, 1, *lock, std::vector<Environment>(static_cast<std::size_t>(cell.engine.ranks)));
    std::optional<ProcessEnd> end;
    while (!(end = team.poll())) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(end->exit_code, 0) << read_file(run.log());
    std::vector<double> sent;
    for (const Event& event : events(run))
      if (event["event"] == "step") sent.push_back(event.at("values").at("bytes_sent"));
    return sent.size() < 3 ? 0 : sent[2] - sent[1];
  }
};

// Both precisions, chunks, recomputed blocks, masks, a second part of training, a teacher, and convolutions.
TEST_F(Count, IsToTheFlopWhatIsMeasured) {
  const std::vector<std::vector<std::string>> variants = {
      {"objective=\"clip\""},
      {"objective=\"siglip\"", "engine.precision=\"bf16\""},
      {},
      {"engine.chunk=4", "engine.recompute=\"blocks\""},
      {"objective=\"dino\"", "engine.precision=\"bf16\""},
      {"objective=\"slip\""},
      {"objective=\"maskclip\""},
      {"objective=\"clip\"", "model.image={backbone=\"resnet\"}"},
  };
  for (const auto& sets : variants) {
    SCOPED_TRACE(sets.empty() ? "silc" : sets.front());
    std::vector<std::string> all = sets;
    if (!sets.empty() && sets.front() != "engine.chunk=4") all.emplace_back("evaluation.weights=[\"student\"]");
    const ResolvedCell cell = this->cell(all);
    const Json counted = ask("count", cell), measured = ask("measure", cell);
    EXPECT_EQ(counted["parameters"], measured["parameters"]);
    EXPECT_EQ(counted["total_steps"], measured["total_steps"]);
    ASSERT_EQ(counted["parts"].size(), measured["parts"].size());
    for (std::size_t part = 0; part < counted["parts"].size(); ++part)
      EXPECT_EQ(counted["parts"][part]["flops_per_step"].get<double>(),
                measured["parts"][part]["flops_per_step"].get<double>())
          << part;
  }
}

// Captions that are written are predicted token by token, and patches are hidden at random: another draw.
TEST_F(Count, IsNearlyThatWhereItDependsOnCaptionsOrOnWhatIsDrawn) {
  for (const char* objective : {"siglip2", "ibot"}) {
    const ResolvedCell cell =
        this->cell({"objective=\"" + std::string(objective) + "\"", "evaluation.weights=[\"student\"]"});
    const double measured = ask("measure", cell)["total_flops"];
    EXPECT_NEAR(ask("count", cell)["total_flops"].get<double>(), measured, 5e-2 * measured) << objective;
  }
}

TEST_F(Count, IsToTheByteWhatRanksSend) {
  for (const char* objective : {"clip", "siglip"}) {
    const ResolvedCell cell = this->cell({"objective=\"" + std::string(objective) + "\"",
                                          "evaluation.weights=[\"student\"]", "engine.ranks=2", "budget.examples=32"});
    EXPECT_EQ(bytes_of(ask("count", cell)["parts"][0]), bytes_sent_in_an_update(cell)) << objective;
    std::filesystem::remove_all(root_ / "run");
  }
}

// What normalises over the batch has its statistics summed over ranks, in the precision of the weights. Rank 0 sends
// running averages to all, which is in its count and, halved, in the mean over ranks.
TEST_F(Count, TakesBatchNormInHalfPrecisionOverRanks) {
  const ResolvedCell cell =
      this->cell({"objective=\"clip\"", "evaluation.weights=[\"student\"]", "engine.ranks=2", "budget.examples=32",
                  "engine.precision=\"bf16\"", "model.image={backbone=\"resnet\"}"});
  const double sent = bytes_sent_in_an_update(cell);
  EXPECT_GT(sent, 0);
  EXPECT_NEAR(bytes_of(ask("count", cell)["parts"][0]), sent, 5e-3 * sent);
}

TEST_F(Count, OfTheWholeBatchIsThatOfItsParts) {
  std::vector<std::string> sets = {"objective=\"siglip\"", "evaluation.weights=[\"student\"]"};
  const double alone = ask("count", cell(sets))["total_flops"];
  sets.emplace_back("engine.ranks=4");
  EXPECT_NEAR(ask("count", cell(sets))["total_flops"].get<double>(), alone, 1e-3 * alone);
}

TEST_F(Count, KnowsWhatLiesInMemoryForAllOfTraining) {
  const Json counted = ask("count", cell({"engine.ranks=2"}));
  const Json& memory = counted["memory"];
  const double trained = 4 * counted["trained_parameters"].get<double>();
  EXPECT_EQ(memory["weights"], trained);
  EXPECT_EQ(memory["optimizer"], 2 * trained);
  EXPECT_EQ(memory["buckets"], trained);
  EXPECT_GT(memory["kept"], 0) << "the teacher";
  EXPECT_GE(memory["peak"].get<double>(), 5 * trained + memory["kept"].get<double>());
  EXPECT_GT(memory["activations"], 0);
}

TEST_F(Count, NeedsLessMemoryInChunksAndMoreForALargerBatch) {
  const auto activations = [&](std::vector<std::string> sets) {
    sets.insert(sets.end(), {"budget.examples=10000", "objective=\"clip\"", "evaluation.weights=[\"student\"]"});
    return ask("count", cell(std::move(sets)))["memory"]["activations"].get<double>();
  };
  const double whole = activations({"optimizer.batch=256"});
  EXPECT_LT(activations({"optimizer.batch=256", "engine.chunk=32"}), 0.5 * whole);
  EXPECT_LT(activations({"optimizer.batch=256", "engine.recompute=\"blocks\""}), 0.9 * whole);
  EXPECT_NEAR(activations({"optimizer.batch=512"}), 2 * whole, 0.1 * whole);
  EXPECT_LT(activations({"optimizer.batch=256", "engine.precision=\"bf16\""}), 0.9 * whole);
}

TEST_F(Count, DoesNotKnowWhatCoreSecondsAre) {
  try {
    (void)ask("count", cell({"budget={core_seconds=10}"}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("the budget is in core-seconds"));
  }
}

// open_clip's models and PyTorch's own counter (tests/reference/model_sizes.py).
TEST_F(Count, OfTheSizesOfThePaperIsThatOfOpenClipsModels) {
  const Json reference = Json::parse(read_file(SILC_SOURCE_DIR "/tests/data/model_sizes.json"));
  const auto folders = plugin_folders(std::vector{std::filesystem::path(SILC_BINARY_DIR) / "plugins"});
  const Catalogue catalogue = Catalogue::scan(folders);
  Experiment experiment = read_experiment(
      {.file = std::filesystem::path(SILC_SOURCE_DIR) / "experiments/paper-sizes.toml", .sets = {"engine.ranks=256"}},
      catalogue);
  ASSERT_TRUE(fill_fingerprints(engine_, experiment.cells).empty());
  for (const auto& [size, model] : reference["models"].items())
    for (const ResolvedCell& cell : experiment.cells) {
      if (cell.row != size + " CLIP") continue;
      SCOPED_TRACE(cell.row);
      const CountedTraining counted = count_training(engine_, cell);
      const auto number = [&, &model = model](const char* key) { return model.at(key).get<double>(); };
      const auto E = static_cast<double>(cell.embed_dim), B = static_cast<double>(cell.optimizer.batch);
      const double D = number("image_width");
      // SigLIP leaves out the projection of the pooled picture, and has biases where silc's have none or the reverse.
      const double parameters = number("image_parameters") + number("text_parameters") + D * E;
      EXPECT_NEAR(static_cast<double>(counted.parameters), parameters, 1e-4 * parameters);
      // Fused attention computes the scores once more in the backward pass: 2 N² D a layer.
      const double N = 256, T = 64;
      const double again =
          2 * (N * N * D * number("image_layers") + T * T * number("text_width") * number("text_layers"));
      // The loss: logits of a picture with all captions, and their gradients to both sides; the projection.
      const double flops = number("image_training") + number("text_training") + again + 6 * B * E + 6 * D * E;
      EXPECT_NEAR(counted.flops / 20e9, flops, 2e-3 * flops);
    }
}

}  // namespace
}  // namespace silc
