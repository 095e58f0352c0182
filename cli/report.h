// What `silc report` and `silc serve` show: which experiments, of which registries, in which tables. No LibTorch.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

#include "cli/session.h"
#include "registry/report.h"

namespace silc {

struct ShownOptions {
  std::vector<std::string> experiments;
  std::string table;
  std::vector<std::string> metrics;
  bool published = false;
  bool pictures = false;
  bool intervals = false;
  std::string match;
  int64_t last = 0;
};

// A registry that is open, and its session.
struct OpenRegistry {
  Session session;
  Registry registry;
};

// [EXPERIMENT...], --table, --metric, --intervals, --pictures, --published, --match, --last.
void add_shown_options(CLI::App& command, ShownOptions& options);

// Of each --registry.
std::vector<OpenRegistry> open_registries(const Session& session);

// The experiments that are named, in every registry that has them; without names the one that was run last in each.
// Throws silc::Error that names those that there are.
std::vector<ExperimentSource> find_sources(const std::vector<OpenRegistry>& registries,
                                           const std::vector<std::string>& names);

// Of one experiment all its tables, of several one; published ones, if they are wanted, at the end.
std::vector<Table> tables_of(const std::vector<ExperimentSource>& sources, const ShownOptions& options);

}  // namespace silc
