#include "engine/rank_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "nn/ranks.h"

namespace silc {
namespace {

std::string pack_report(const RankReport& report) {
  nlohmann::json keys = nlohmann::json::array(), skipped = nlohmann::json::array();
  for (const BatchKeys& batch : report.keys) keys.push_back({batch.pictures, batch.captions});
  for (const Unreadable& each : report.skipped) skipped.push_back({each.sample, each.reason});
  nlohmann::json cost = {{"core_seconds", report.cost.core_seconds},
                         {"seconds", report.cost.seconds},
                         {"peak_memory", report.cost.peak_memory}};
  write_measured(report.cost, cost);
  const nlohmann::json whole = {
      pack(report.figures), report.flops, report.bytes_sent, cost, report.stop, keys, skipped};
  std::string bytes;
  nlohmann::json::to_cbor(whole, bytes);
  return bytes;
}

RankReport unpack_report(const std::string& bytes) {
  const auto whole = nlohmann::json::from_cbor(bytes);
  const auto& cost = whole[3];
  RankReport report{.figures = unpack(whole[0].get<std::string>()),
                    .flops = whole[1].get<int64_t>(),
                    .bytes_sent = whole[2].get<int64_t>(),
                    .cost = {.core_seconds = cost["core_seconds"].get<double>(),
                             .seconds = cost["seconds"].get<double>(),
                             .peak_memory = cost["peak_memory"].get<int64_t>()},
                    .stop = whole[4].get<bool>(),
                    .keys = {},
                    .skipped = {}};
  read_measured(cost, report.cost);
  for (const auto& batch : whole[5])
    report.keys.push_back({batch[0].get<std::vector<int64_t>>(), batch[1].get<std::vector<std::vector<uint64_t>>>()});
  for (const auto& each : whole[6]) report.skipped.push_back({each[0].get<int64_t>(), each[1].get<std::string>()});
  return report;
}

void append(BatchKeys& all, const BatchKeys& more) {
  all.pictures.insert(all.pictures.end(), more.pictures.begin(), more.pictures.end());
  all.captions.resize(std::max(all.captions.size(), more.captions.size()));
  for (std::size_t c = 0; c < more.captions.size(); ++c)
    all.captions[c].insert(all.captions[c].end(), more.captions[c].begin(), more.captions[c].end());
}

// What ranks spend at the same time.
Cost sum_of_costs(const Cost& one, const Cost& other) {
  Cost sum{.core_seconds = one.core_seconds + other.core_seconds,
           .seconds = std::max(one.seconds, other.seconds),
           .peak_memory = one.peak_memory + other.peak_memory,
           .device = one.device};
  if (sum.device && other.device) *sum.device += *other.device;
  if (one.cpu_energy && other.cpu_energy) sum.cpu_energy = *one.cpu_energy + *other.cpu_energy;
  return sum;
}

void add_repeats(RankReport& report) {
  Repeats mean;
  for (const BatchKeys& batch : report.keys) {
    const Repeats repeats = repeats_in(batch);
    mean.pictures += repeats.pictures / static_cast<double>(report.keys.size());
    mean.captions += repeats.captions / static_cast<double>(report.keys.size());
  }
  report.figures.values.emplace_back("duplicate_pictures", mean.pictures);
  report.figures.values.emplace_back("duplicate_captions", mean.captions);
}

}  // namespace

RankReport share_reports(const RankReport& own) {
  if (ranks().alone()) {
    RankReport report = own;
    add_repeats(report);
    return report;
  }
  std::vector<RankReport> all;
  for (const std::string& bytes : ranks().gather_text(pack_report(own))) all.push_back(unpack_report(bytes));
  RankReport together = all.front();
  std::vector<StepFigures> figures = {all.front().figures};
  for (std::size_t r = 1; r < all.size(); ++r) {
    const RankReport& other = all[r];
    figures.push_back(other.figures);
    together.flops += other.flops;
    together.bytes_sent += other.bytes_sent;
    together.cost = sum_of_costs(together.cost, other.cost);
    together.stop = together.stop || other.stop;
    for (std::size_t i = 0; i < together.keys.size(); ++i) append(together.keys[i], other.keys[i]);
    together.skipped.insert(together.skipped.end(), other.skipped.begin(), other.skipped.end());
  }
  together.figures = mean_of(figures);
  add_repeats(together);
  together.figures.values.emplace_back("bytes_sent",
                                       static_cast<double>(together.bytes_sent) / static_cast<double>(all.size()));
  return together;
}

}  // namespace silc
