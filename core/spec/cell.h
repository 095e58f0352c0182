// A cell: one row of an experiment with one seed, every setting resolved and checked. No LibTorch.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/catalogue.h"
#include "silc/options.h"

namespace silc {

// Raised when the engine gives other results from the same settings: part of a cell's identity.
inline constexpr uint32_t kEngineVersion = 2;

// A plugin by name, with all its options.
struct PluginChoice {
  PluginKind kind = PluginKind::objective;
  std::string name;
  uint32_t version = 1;  // as declared by the plugin
  Options options;
  // Content hashes of the files that options name, by option; kFolder for a folder, whose dataset has a fingerprint.
  std::map<std::string, std::string> files = {};
  // Options that the plugin got later (silc/options.h, added) and that have their default: no part of the identity.
  std::set<std::string> unchanged = {};

  friend bool operator==(const PluginChoice&, const PluginChoice&) = default;
};

inline constexpr std::string_view kFolder = "folder";

enum class BudgetUnit { examples, flops, core_seconds };

struct Budget {
  BudgetUnit unit = BudgetUnit::examples;
  double amount = 0;  // 0: nothing is trained, and the weights that the cell starts from are evaluated

  friend bool operator==(const Budget&, const Budget&) = default;
};

struct DataSource {
  PluginChoice dataset;
  std::string split;
  std::string fingerprint;  // of the data, from the dataset plugin; empty until it has been asked
  // What becomes of a sample that cannot be read. No part of the identity: what comes of data without such samples is
  // the same, and data that change get another fingerprint.
  std::string on_error = "stop";  // or "skip"
  int64_t skip_limit = 100;       // different samples that are skipped at most
  // Of a mixture, which is called so in `dataset`: its sources, and the share of each before they are made to add up to
  // one.
  std::vector<DataSource> parts = {};
  std::vector<double> weights = {};

  friend bool operator==(const DataSource&, const DataSource&) = default;
};

struct ImageSettings {
  PluginChoice backbone;
  int64_t image_size = 64;
  // How pictures become the model's input, in open_clip's words. Part of the identity where they are not these.
  std::string resize_mode = "squash";         // of pictures under evaluation; or "shortest", with a central crop
  std::string interpolation = "bilinear";     // or "bicubic"
  std::array<double, 3> mean = {.5, .5, .5};  // of red, green and blue, for values in [0, 1]
  std::array<double, 3> std = {.5, .5, .5};
  bool projection_bias = false;  // of the projection to the joint space; likewise

  friend bool operator==(const ImageSettings&, const ImageSettings&) = default;
};

struct TextSettings {
  PluginChoice backbone;
  PluginChoice tokenizer;
  int64_t context_length = 32;
  bool projection_bias = false;  // as the image tower's

  friend bool operator==(const TextSettings&, const TextSettings&) = default;
};

struct OptimizerSettings {
  std::string name = "adamw";
  double lr = 1e-3;
  int64_t batch = 128;     // that the loss sees at once
  int64_t accumulate = 1;  // batches whose gradients are averaged for an update
  double weight_decay = 0.1;
  double beta1 = 0.9;
  double beta2 = 0.98;
  double epsilon = 1e-6;
  double warmup = 0.05;             // fraction of the budget
  std::string schedule = "cosine";  // or "constant"
  double final_lr = 0.0;            // fraction of lr at the end of the cosine
  double clip_grad_norm = 1.0;      // 0: no clipping

  friend bool operator==(const OptimizerSettings&, const OptimizerSettings&) = default;
};

// How a cell is executed: decides the cost, and with it, by rounding, the last bits, but not what is computed. Not part
// of the identity but for precision.
struct EngineSettings {
  std::string precision = "fp32";   // or "bf16" (autocast)
  std::string device = "auto";      // "cpu", "cuda", "cuda:1"
  int64_t chunk = 0;                // pictures, and texts, that a tower computes at a time; 0: the whole batch
  std::string recompute = "none";   // "blocks": of transformers, in the backward pass
  int64_t ranks = 1;                // processes that train the cell together, each with a part of every batch
  int64_t threads = 0;              // of LibTorch, of each rank; 0: divided by silc among what runs side by side
  int64_t data_threads = 0;         // that prepare batches; they count in the cost; 0: 1, for a GPU more
  bool deterministic = true;        // refuses operators that have no deterministic kernel
  double checkpoint_seconds = 60;   // between checkpoints
  int64_t log_every = 10;           // steps between step metrics
  double evaluate_every = 0;        // part of the budget between evaluations along training; 0: none
  int64_t evaluate_samples = 1000;  // of each dataset, for those; 0: all
  double hang_seconds = 1800;       // without a sign of life, after which silc stops the engine; 0: never
  double memory_limit = 0;          // GB (10⁹ bytes) at which silc stops the engine; 0: what the machine has

  friend bool operator==(const EngineSettings&, const EngineSettings&) = default;
};

struct Evaluation {
  PluginChoice evaluator;
  DataSource data;
  std::string name;  // as it stands in metrics and table columns; the evaluator's name unless given

  friend bool operator==(const Evaluation&, const Evaluation&) = default;
};

// A file of weights, of silc or of others (weights/model_file.h).
struct StartFile {
  std::string path;                 // absolute; a file or folder; no part of the identity
  std::string hash;                 // of its content
  std::string weights = "student";  // or "teacher": whose image tower
  double share = 1;                 // of each parameter, in a mix; those of a mix add up to 1

  friend bool operator==(const StartFile&, const StartFile&) = default;
};

// What training goes on from: the last checkpoint of the phase before, or files. Neither: weights are drawn at random.
struct Start {
  std::string cell;     // id of the phase before
  std::string folder;   // of that cell, from the experiment's folder; no part of the identity
  DataSource captions;  // from which the tokenizer has its vocabulary; no dataset: from those that are trained on
  std::vector<StartFile> files = {};  // of the first phase

  friend bool operator==(const Start&, const Start&) = default;
};

struct ResolvedCell {
  std::string experiment;  // name
  std::string row;         // name, with the values of the matrix: "CLIP [optimizer.lr=0.001]"
  int64_t seed = 0;
  // Of a search: the number of the trial that this cell is. What it is called, not what decides it.
  std::optional<int64_t> trial = std::nullopt;
  bool elsewhere = false;  // a phase that a row of another experiment has trained or will: no part of this one's plan

  Start start = {};
  // Of a row that is trained in phases: the cells of the phases before the last, which this one is, in order.
  std::vector<ResolvedCell> earlier = {};

  Budget budget;
  DataSource train;
  ImageSettings image;
  TextSettings text;
  int64_t embed_dim = 128;
  PluginChoice objective;
  OptimizerSettings optimizer;
  EngineSettings engine;
  std::vector<Evaluation> evaluations;
  // Image towers to evaluate: "student", "teacher". The first is what a table column means unless it says otherwise.
  std::vector<std::string> weights = {"student"};

  friend bool operator==(const ResolvedCell&, const ResolvedCell&) = default;
};

// First 12 hex digits of a hash (XXH3, 128 bits) over everything that decides the result: all settings but experiment,
// row name and the engine's (of those, precision alone); plugin versions, data fingerprints and `engine_version`. Of
// a file that an option names, the content counts, not the path. Not of a cell that has `earlier` phases: see
// phases_of.
std::string cell_id(const ResolvedCell& cell);

// The phases of a cell, itself last, each with its start filled in and none with `earlier`: what runs, one after the
// other. Needs data fingerprints, because a phase is known by its id.
std::vector<ResolvedCell> phases_of(const ResolvedCell& cell);

// Whether nothing is trained: the cell's files of weights are evaluated as they are.
inline bool is_evaluated_only(const ResolvedCell& cell) { return cell.budget.amount == 0 && !cell.start.files.empty(); }

// Where the tokenizer has its vocabulary from, if it has it from captions; no dataset: from none.
const DataSource& captions_of(const ResolvedCell& cell);

// A source that is there.
inline bool is_there(const DataSource& source) { return !source.dataset.name.empty(); }

// A cell after its earlier phases, none with `earlier` of its own.
std::vector<ResolvedCell> unchained(const ResolvedCell& cell);

// Seeds all that training draws at random. A later phase draws anew rather than what the first one drew.
uint64_t training_seed(const ResolvedCell& cell);

// Folder below the runs folder: EXPERIMENT/ROW/seed-N-ID, of a trial EXPERIMENT/ROW/trial-N-ID, names made safe for
// file systems.
std::filesystem::path run_folder(const ResolvedCell& cell);

// The row as people are told of it: that of another experiment with the experiment's name.
std::string row_label(const ResolvedCell& cell);

// A name as part of a path: lower-case letters, digits and '-', at most 100 characters (longer ones end with a hash of
// the whole). Empty if the name has no such characters.
std::string path_name(std::string_view name);

// A data source as one line of text, the same for the same data, whatever they have become since: how silc and its
// engine speak of it.
std::string source_item(const DataSource& source);

// "seed 0", "trial 3": which of its row's cells it is.
std::string cell_label(const ResolvedCell& cell);

// cell.toml: every setting, readable, with a [cell] table (experiment, row, seed, trial, id) at its head and the
// versions of the plugins at its end. read_cell(write_cell(c)) == c. Throws SpecError with file:line:column; also where
// a plugin's version or a file's content is no longer the recorded one, and where the id no longer fits the settings
// (an edited file).
std::string write_cell(const ResolvedCell& cell);
ResolvedCell read_cell(const std::filesystem::path& file, const Catalogue& catalogue);
// `text`: the content of such a file, `name` what faults call it.
ResolvedCell parse_cell(const std::string& text, const std::string& name, const Catalogue& catalogue);

}  // namespace silc
