#include "engine/unreadable.h"

#include <c10/util/StringUtil.h>

#include <algorithm>

#include "engine/failure.h"
#include "engine/prefetcher.h"
#include "engine/stop_signal.h"
#include "pictures/decode.h"

namespace silc {

bool may_skip(const DataSource& source) { return source.on_error == "skip"; }

Sample read_decoded(const Dataset& dataset, int64_t index) {
  Sample sample = dataset.sample(index);
  sample.image = decoded(std::move(sample.image));
  if (sample.captions.empty()) throw Error("sample " + std::to_string(index) + " has no caption");
  return sample;
}

std::optional<HealthWarning> UnreadableSamples::add(const Unreadable& unreadable, int64_t step) {
  if (!reasons_.emplace(unreadable.sample, unreadable.reason).second) return std::nullopt;
  const auto count = static_cast<int64_t>(reasons_.size());
  if (count > limit_)
    throw Error(c10::str("dataset \"", dataset_, "\": more samples cannot be read than skip_limit allows (", limit_,
                         "); the last: ", unreadable.reason,
                         ". Mend the data, or raise skip_limit beside the dataset's name"));
  int64_t threshold = 1;
  while (threshold < count) threshold *= 10;
  if (threshold != count) return std::nullopt;
  return HealthWarning{.step = step,
                       .check = c10::str("unreadable_samples_", count),
                       .metric = "unreadable_samples",
                       .value = static_cast<double>(count),
                       .message = c10::str(count, count == 1 ? " sample" : " samples", " of dataset \"", dataset_,
                                           "\" could not be read and ", count == 1 ? "was" : "were",
                                           " replaced by the next in the data; the last: ", unreadable.reason,
                                           " (engine.log names all)")};
}

std::string UnreadableSamples::state() const { return reasons_.empty() ? "" : Event(reasons_).dump(); }

void UnreadableSamples::restore(const std::string& state) {
  if (!state.empty()) reasons_ = Event::parse(state).get<std::map<int64_t, std::string>>();
}

Readable find_readable(const Dataset& dataset, const std::vector<int64_t>& places, int64_t threads) {
  const auto fault_of = [&](int64_t number) -> std::string {
    try {
      static_cast<void>(read_decoded(dataset, places[static_cast<size_t>(number)]));
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  Readable readable;
  Prefetcher<std::string> faults(0, static_cast<int64_t>(places.size()), threads, 64 * threads, fault_of);
  for (const int64_t place : places) {
    if (stop_requested()) throw Interrupted{};
    beat_heart();
    const std::string fault = *faults.next();
    if (fault.empty())
      readable.places.push_back(place);
    else
      readable.others.push_back({place, fault});
  }
  return readable;
}

}  // namespace silc
