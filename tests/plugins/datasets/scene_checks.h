// What must hold for every sample of a dataset of scenes, and for its captions.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "plugins/datasets/scene.h"

namespace silc::testing {

// A thing that a caption names. colour −1: none named.
struct Named {
  int64_t label = 0;
  int64_t colour = -1;
  friend auto operator<=>(const Named&, const Named&) = default;
};

// Reads a caption as a person would, knowing nothing of how it was made: each noun with the number and the colour
// before it. `nouns`: singular or plural → label.
inline std::vector<Named> read_caption(const std::string& caption, const std::map<std::string, int64_t>& nouns) {
  const std::map<std::string, int> numbers = {{"a", 1}, {"an", 1}, {"two", 2}, {"three", 3}, {"four", 4}};
  std::vector<Named> things;
  int count = 0;
  int64_t colour = -1;
  std::istringstream words(caption);
  for (std::string word; words >> word;) {
    if (word.back() == ',') word.pop_back();
    if (const auto number = numbers.find(word); number != numbers.end()) {
      count = number->second;
      colour = -1;
    }
    for (std::size_t c = 0; c < datasets::kColours.size(); ++c)
      if (datasets::kColours[c].name == word) colour = static_cast<int64_t>(c);
    if (const auto noun = nouns.find(word); noun != nouns.end())
      things.insert(things.end(), static_cast<std::size_t>(count), {noun->second, colour});
  }
  return things;
}

// Every caption names exactly the objects that are there, with their colours or with none.
inline void check_captions(const Dataset& dataset, const datasets::SceneSettings& settings, int64_t classes,
                           const std::map<std::string, int64_t>& nouns, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const datasets::ScenePlan plan = datasets::plan_scene(settings, classes, i);
    std::multiset<Named> coloured, plain;
    for (const datasets::PlannedObject& object : plan.objects) {
      coloured.insert({object.label, object.colour});
      plain.insert({object.label, -1});
    }
    for (const std::string& caption : dataset.captions(i)) {
      const std::vector<Named> things = read_caption(caption, nouns);
      const std::multiset<Named> named(things.begin(), things.end());
      EXPECT_TRUE(named == coloured || named == plain) << i << ": " << caption;
      ASSERT_FALSE(things.empty()) << caption;
      const auto stands = [&](const char* word) { return caption.find(word) != std::string::npos; };
      const datasets::PlannedObject& first = plan.objects.front();
      const datasets::PlannedObject& last = plan.objects.back();
      if (stands("left of") || stands("right of")) {
        const bool turned = stands("right of");
        EXPECT_EQ(things.front().label, (turned ? last : first).label) << caption;
        EXPECT_LT(first.x, last.x) << caption;
      } else if (stands("above") || stands("below")) {
        EXPECT_LT(first.y, last.y) << caption;
        if (plan.objects.size() == 2) {
          EXPECT_EQ(things.front().label, (stands("below") ? last : first).label) << caption;
        }
      } else if (stands("between")) {
        EXPECT_EQ(things.front().label, plan.objects[1].label) << caption;
      } else {
        for (std::size_t k = 0; k < things.size(); ++k) EXPECT_EQ(things[k].label, plan.objects[k].label) << caption;
      }
    }
  }
}

// Sizes agree; the mask holds only classes that are there, inside a box of that class; boxes touch their objects.
inline void check_sample(const Sample& sample, int64_t size, int64_t classes) {
  ASSERT_EQ(sample.image.width, size);
  ASSERT_EQ(sample.image.height, size);
  ASSERT_EQ(sample.image.rgb.size(), static_cast<std::size_t>(size * size * 3));
  ASSERT_EQ(sample.mask.size(), static_cast<std::size_t>(size * size));
  ASSERT_GE(sample.label, 0);
  ASSERT_LT(sample.label, classes);
  EXPECT_TRUE(
      std::any_of(sample.boxes.begin(), sample.boxes.end(), [&](const Box& box) { return box.label == sample.label; }));
  for (int64_t y = 0; y < size; ++y) {
    for (int64_t x = 0; x < size; ++x) {
      const uint8_t label = sample.mask[static_cast<std::size_t>(y * size + x)];
      if (label == kIgnoreLabel) continue;
      const auto fx = static_cast<float>(x);
      const auto fy = static_cast<float>(y);
      const auto holds = [&](const Box& box) {
        return box.label == label && box.x0 <= fx && fx < box.x1 && box.y0 <= fy && fy < box.y1;
      };
      ASSERT_TRUE(std::any_of(sample.boxes.begin(), sample.boxes.end(), holds)) << x << ", " << y;
    }
  }
  for (const Box& box : sample.boxes) {
    EXPECT_LT(box.x0, box.x1);
    EXPECT_LT(box.y0, box.y1);
    EXPECT_GE(std::min(box.x0, box.y0), 0);
    EXPECT_LE(std::max(box.x1, box.y1), static_cast<float>(size));
  }
}

inline bool same(const Sample& a, const Sample& b) {
  const auto same_box = [](const Box& p, const Box& q) {
    return p.x0 == q.x0 && p.y0 == q.y0 && p.x1 == q.x1 && p.y1 == q.y1 && p.label == q.label;
  };
  return a.image.rgb == b.image.rgb && a.captions == b.captions && a.label == b.label && a.mask == b.mask &&
         std::equal(a.boxes.begin(), a.boxes.end(), b.boxes.begin(), b.boxes.end(), same_box);
}

// Four threads, each in another order, see what one thread sees; captions() sees what sample() sees.
inline void check_purity(const Dataset& dataset, int64_t count) {
  std::vector<Sample> expected;
  for (int64_t i = 0; i < count; ++i) expected.push_back(dataset.sample(i));
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t k = 0; k < count; ++k) {
        const int64_t i = (t % 2 == 0 ? k : count - 1 - k);
        const auto& sample = expected[static_cast<std::size_t>(i)];
        if (!same(dataset.sample(i), sample) || dataset.captions(i) != sample.captions)
          ++wrong[static_cast<std::size_t>(t)];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace silc::testing
