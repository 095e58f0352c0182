// How cells come to be trained: as processes of this machine, or as jobs of a cluster. The scheduler
// (schedule/schedule.h) decides which cells, in what order; a launcher does the rest. No LibTorch.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "schedule/cell_task.h"

namespace silc {

// What is told of a run as a whole.
class LaunchListener {
 public:
  virtual ~LaunchListener() = default;

  virtual void warning(const std::string& /*message*/) {}
  virtual void note(const std::string& /*message*/) {}
};

// How a launcher's work on a cell came to an end.
struct WorkEnd {
  enum class Kind {
    ended,      // the last attempt is over
    not_begun,  // there was none: what the cell starts from left it nothing to start from, or the run was stopped
    left,       // it goes on without silc
  };
  Kind kind = Kind::ended;
  Event attempt = {};        // its line of attempts.jsonl, which has been written; null: there was none
  std::string failure = {};  // why the cell has failed, where neither attempt nor events say it
};

// A launcher's work on one cell. Made by the launcher, and gone before it.
class CellWork {
 public:
  virtual ~CellWork() = default;

  // Null while it goes on.
  virtual std::optional<WorkEnd> poll() = 0;
  // Whether there may be new events since the last call.
  virtual bool has_news() { return true; }
  // There were some.
  virtual void note_news() {}

  // Where it runs or waits, as far as that is worth a word: "job 12_3: Priority", "n2, job 12_3".
  [[nodiscard]] virtual std::string where() const { return {}; }
  // Whether an engine has been started, and not only asked for.
  [[nodiscard]] virtual bool begun() const { return true; }
  // Whether another silc began it, so that events that are there belong to it.
  [[nodiscard]] virtual bool adopted() const { return false; }
  // As CUDA_VISIBLE_DEVICES would name the GPUs of all ranks; empty: it has none, or they are not known.
  [[nodiscard]] virtual std::string gpus() const { return {}; }
};

// Why a run is to stop.
struct StopWish {
  int requests = 0;  // by how many signals so far; 0: a cell has failed, and the others are not wanted any more
  bool by_interrupt = false;  // the last was SIGINT: somebody at a terminal
};

class Launcher {
 public:
  virtual ~Launcher() = default;

  // Once, before all else: `left` are the cells that are left to do, and those that may come. Throws silc::Error.
  virtual void begin(std::span<const ResolvedCell> /*left*/) {}
  // Whether one more cell may be started beside these.
  [[nodiscard]] virtual bool has_room(std::size_t running) const = 0;
  // Whether a cell may be started while the one that it starts from is still being worked on.
  [[nodiscard]] virtual bool chains() const { return false; }

  // What keeps others from working on the cell. Null: somebody else holds it. Throws silc::Error.
  virtual std::unique_ptr<FileLock> lock(const RunFolder& folder) = 0;
  // Whether there is something left to do about a cell that is done: what it cost is not in its attempts yet.
  [[nodiscard]] virtual bool owes(const RunFolder& /*folder*/) const { return false; }
  // Begins to work on a cell whose lock this silc holds. Throws silc::Error: it cannot be begun.
  virtual std::unique_ptr<CellWork> start(const CellTask& task, std::unique_ptr<FileLock> lock) = 0;

  // After each round of starts and polls, some times a second.
  virtual void look() {}
  // Returns what to tell the user. Called each time that `requests` grows.
  virtual std::string stop(const StopWish& wish) = 0;
};

}  // namespace silc
