// Whether data under two names are the same pictures: asked of silc-engine. No LibTorch.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>

#include "schedule/engine_process.h"
#include "spec/cell.h"

namespace silc {

// Some of the pictures of a source of data, spread over it.
struct PictureSample {
  int64_t size = 0;              // pictures that the source has
  std::set<std::string> hashes;  // of those that were looked at
};

// Samples of data sources, by source_item; without those that cannot be read. Throws silc::Error where a dataset
// crashes, or says nothing for `patience` seconds (0: it may take any time).
std::map<std::string, PictureSample> look_at_pictures(const Engine& engine, std::span<const DataSource> sources,
                                                      double patience);

// What part of the pictures of `one` is among those of `other`, by the samples: exact where they hold everything, else
// expected, each picture of a source being as likely to have been looked at. 0 where fewer than two were found, which
// tells nothing.
double shared_part(const PictureSample& one, const PictureSample& other);

}  // namespace silc
