#include <gtest/gtest.h>

#include "made_files.h"

extern "C" silc::Dataset* silc_dataset_cifar(const silc::DatasetContext& context);
extern "C" silc::Dataset* silc_dataset_idx(const silc::DatasetContext& context);

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MadeFolder;
using testing::OpenDataset;
using testing::refusal;

// Pictures whose red is their number.
std::string records(std::initializer_list<std::string> labels) {
  std::string bytes;
  char number = 0;
  for (const std::string& label : labels) {
    bytes += label;
    bytes += std::string(1024, number++) + std::string(1024, 20) + std::string(1024, 30);
  }
  return bytes;
}

std::string label(int value) { return std::string(1, static_cast<char>(value)); }

class CifarTest : public ::testing::Test {
 protected:
  OpenDataset open(const std::string& split, std::map<std::string, OptionValue> changes = {}) {
    changes["folder"] = folder.path().string();
    changes.try_emplace("validation", int64_t{2});
    return {silc_dataset_cifar, "cifar", split, changes};
  }
  void add_ten() {
    folder.add("batches.meta.txt", "airplane\nautomobile\n\n");
    for (int file = 1; file <= 5; ++file)
      folder.add("data_batch_" + std::to_string(file) + ".bin", records({label(0), label(1)}));
    folder.add("test_batch.bin", records({label(1)}));
  }
  MadeFolder folder;
};

TEST_F(CifarTest, ReadsCifar10) {
  add_ten();
  EXPECT_EQ(open("train")->size(), 8);
  EXPECT_EQ(open("validation")->size(), 2);
  const auto test = open("test");
  ASSERT_EQ(test->size(), 1);
  const Sample sample = test->sample(0);
  EXPECT_EQ(sample.label, 1);
  EXPECT_EQ(sample.image.width, 32);
  EXPECT_EQ(sample.image.rgb[3 * 77 + 1], 20);
  EXPECT_THAT(sample.captions, ElementsAre("a photo of a automobile"));
  EXPECT_EQ(test->prompt_templates().size(), 18U);
}

TEST_F(CifarTest, ReadsBothLabelsOfCifar100) {
  folder.add("fine_label_names.txt", "apple\naquarium_fish\n");
  folder.add("coarse_label_names.txt", "aquatic_mammals\nfish\nflowers\n");
  folder.add("test.bin", records({label(2) + label(1)}));
  EXPECT_EQ(open("test")->sample(0).label, 1);
  EXPECT_THAT(open("test")->classes(), ElementsAre("apple", "aquarium fish"));
  EXPECT_EQ(open("test", {{"labels", "coarse"}})->sample(0).label, 2);
}

TEST_F(CifarTest, RefusesAFileThatIsCutShort) {
  add_ten();
  folder.add("test_batch.bin", records({label(1)}).substr(0, 3000));
  EXPECT_THAT(refusal([&] { open("test"); }),
              HasSubstr("test_batch.bin: has 3000 bytes, which is no multiple of 3073"));
  folder.add("test_batch.bin", "");
  EXPECT_THAT(refusal([&] { open("test"); }), HasSubstr("test_batch.bin: has 0 bytes"));
}

TEST_F(CifarTest, RefusesALabelThatIsOutOfRange) {
  add_ten();
  folder.add("test_batch.bin", records({label(1), label(2)}));
  EXPECT_THAT(refusal([&] { open("test"); }), HasSubstr("picture 1 has the label 2, and there are 2 classes"));
}

TEST(IdxPictures, AreReadPackedAndUnpacked) {
  MadeFolder folder;
  const std::string images = testing::idx_bytes(0x803, {3, 1, 2}, {1, 2, 3, 4, 5, 6});
  const std::string labels = testing::idx_bytes(0x801, {3}, {7, 8, 9});
  folder.add("t10k-images-idx3-ubyte", images);
  testing::write_gzip(folder.path() / "t10k-labels-idx1-ubyte.gz", labels);
  const OpenDataset dataset(silc_dataset_idx, "idx", "test", {{"folder", folder.path().string()}});
  ASSERT_EQ(dataset->size(), 3);
  EXPECT_THAT(dataset->sample(1).image.rgb, ElementsAre(3, 3, 3, 4, 4, 4));
  EXPECT_EQ(dataset->sample(1).label, 8);
  EXPECT_THAT(dataset->captions(2), ElementsAre("a photo of a 9"));
  folder.add("t10k-images-idx3-ubyte", images.substr(0, images.size() - 1));
  EXPECT_THAT(refusal([&] {
                OpenDataset(silc_dataset_idx, "idx", "test", {{"folder", folder.path().string()}});
              }),
              HasSubstr("t10k-images-idx3-ubyte: is cut short"));
}

}  // namespace
}  // namespace silc
