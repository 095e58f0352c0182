#include "files/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "files/durable_file.h"
#include "silc/error.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

namespace fs = std::filesystem;

template <class Number>
std::span<const std::byte> bytes_of(const std::vector<Number>& numbers) {
  return std::as_bytes(std::span(numbers));
}

template <class Number>
std::vector<Number> numbers_of(const TensorView& tensor) {
  std::vector<Number> numbers(tensor.bytes.size() / sizeof(Number));
  if (!numbers.empty()) std::memcpy(numbers.data(), tensor.bytes.data(), tensor.bytes.size());
  return numbers;
}

// What tests/reference/safetensors_fixture.py writes.
struct Example {
  std::vector<float> weight{0.5F, -1.25F, 3.0F, 1e-3F, 65504.0F, -0.0F};
  std::vector<float> bias{1, 2};
  std::vector<uint16_t> half{0x3800, 0xC000, 0x6400};  // 0.5, −2, 1024
  std::vector<int64_t> step{1234567890123};
  std::vector<uint8_t> mask{1, 0, 1};
  std::vector<uint8_t> bytes{1, 2, 255};
  std::vector<int16_t> size{-7};

  [[nodiscard]] std::map<std::string, TensorView> tensors() const {
    return {{"weight", {"F32", {2, 3}, bytes_of(weight)}},
            {"bias", {"F32", {2}, bytes_of(bias)}},
            {"half", {"F16", {3}, bytes_of(half)}},
            {"step", {"I64", {}, bytes_of(step)}},
            {"mask", {"BOOL", {3}, bytes_of(mask)}},
            {"bytes", {"U8", {3}, bytes_of(bytes)}},
            {"empty", {"F64", {0, 4}, {}}},
            {"größe", {"I16", {1}, bytes_of(size)}}};
  }
};

const fs::path kPythonFile = fs::path(SILC_SOURCE_DIR) / "tests/data/python.safetensors";

// A new file each time, not synced: thousands of these are written, and file systems sync a file that is replaced.
void write(const fs::path& file, const std::string& content) {
  fs::remove(file);
  std::ofstream(file, std::ios::binary) << content;
}

class Safetensors : public testing::Test {
 protected:
  // A file with this header, as it is, and this many bytes of data.
  fs::path file_with(const std::string& header, std::size_t data_bytes) {
    const uint64_t length = header.size();
    std::string content(reinterpret_cast<const char*>(&length), sizeof(length));
    content += header + std::string(data_bytes, 'x');
    write(folder_ / "made", content);
    return folder_ / "made";
  }

  void expect_refused(const std::string& header, std::size_t data_bytes, const std::string& fault) {
    const fs::path file = file_with(header, data_bytes);
    EXPECT_THAT([&] { SafetensorsFile{file}; }, testing::ThrowsMessage<Error>(testing::AllOf(
                                                    testing::HasSubstr(file.string()), testing::HasSubstr(fault))))
        << header;
  }

  TemporaryFolder folder_;
};

TEST_F(Safetensors, ReadsWhatThePythonPackageWrote) {
  const SafetensorsFile file(kPythonFile);
  const Example example;
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "np"}}));
  EXPECT_EQ(file.tensors().size(), 8);
  EXPECT_EQ(numbers_of<float>(file.tensors().at("weight")), example.weight);
  EXPECT_EQ(file.tensors().at("weight").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(file.tensors().at("weight").dtype, "F32");
  EXPECT_EQ(numbers_of<uint16_t>(file.tensors().at("half")), example.half);
  EXPECT_EQ(numbers_of<int64_t>(file.tensors().at("step")), example.step);
  EXPECT_TRUE(file.tensors().at("step").shape.empty());
  EXPECT_TRUE(file.tensors().at("empty").bytes.empty());
  EXPECT_EQ(numbers_of<int16_t>(file.tensors().at("größe")), example.size);
}

TEST_F(Safetensors, WritesTheBytesOfThePythonPackage) {
  write_safetensors(folder_ / "ours", Example().tensors(), {{"format", "np"}});
  EXPECT_EQ(read_file(folder_ / "ours"), read_file(kPythonFile));
}

TEST_F(Safetensors, ReadsWhatItWrote) {
  const Example example;
  write_safetensors(folder_ / "a", example.tensors(), {{"b", "\"quoted\"\n"}, {"a", "ü"}});
  const SafetensorsFile file(folder_ / "a");
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"a", "ü"}, {"b", "\"quoted\"\n"}}));
  for (const auto& [name, tensor] : example.tensors()) {
    const TensorView& read = file.tensors().at(name);
    EXPECT_EQ(read.dtype, tensor.dtype) << name;
    EXPECT_EQ(read.shape, tensor.shape) << name;
    EXPECT_TRUE(std::ranges::equal(read.bytes, tensor.bytes)) << name;
  }
}

TEST_F(Safetensors, AlignsEveryTensorToItsType) {
  write_safetensors(folder_ / "a", Example().tensors(), {});
  const SafetensorsFile file(folder_ / "a");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.tensors().at("step").bytes.data()) % 8, 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.tensors().at("weight").bytes.data()) % 4, 0);
}

TEST_F(Safetensors, HoldsNoTensorsAtAll) {
  write_safetensors(folder_ / "a", {}, {});
  EXPECT_TRUE(SafetensorsFile(folder_ / "a").tensors().empty());
}

TEST_F(Safetensors, StaysValidWhenMoved) {
  const Example example;
  write_safetensors(folder_ / "a", example.tensors(), {});
  SafetensorsFile first(folder_ / "a");
  const SafetensorsFile second(std::move(first));
  EXPECT_EQ(numbers_of<float>(second.tensors().at("weight")), example.weight);
}

TEST_F(Safetensors, IsNotWrittenWithBytesThatDoNotFitTheShape) {
  const std::vector<float> numbers(3);
  EXPECT_THROW(write_safetensors(folder_ / "a", {{"x", {"F32", {4}, bytes_of(numbers)}}}, {}), std::logic_error);
}

TEST_F(Safetensors, HasTheSameBytesOneTensorAtATime) {
  const Example example;
  write_safetensors(folder_ / "a", example.tensors(), {{"key", "value"}});
  std::map<std::string, TensorShape> shapes;
  for (const auto& [name, view] : example.tensors()) shapes[name] = {view.dtype, view.shape};
  std::vector<std::byte> one;
  write_safetensors(folder_ / "b", shapes, {{"key", "value"}}, [&](const std::string& name) {
    const auto bytes = example.tensors().at(name).bytes;
    one.assign(bytes.begin(), bytes.end());
    return std::span<const std::byte>(one);
  });
  EXPECT_EQ(read_file(folder_ / "b"), read_file(folder_ / "a"));
}

TEST_F(Safetensors, IsRefusedWhenCutAtAnyByte) {
  const std::string whole = read_file(kPythonFile);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write(folder_ / "cut", whole.substr(0, size));
    EXPECT_THROW(SafetensorsFile{folder_ / "cut"}, Error) << size << " bytes";
  }
}

// A changed byte may leave a sound file, with another name for a tensor say; but never a view outside of the file.
TEST_F(Safetensors, IsRefusedOrReadInBoundsWithAnyByteOfTheHeaderChanged) {
  const std::string whole = read_file(kPythonFile);
  uint64_t header = 0;
  std::memcpy(&header, whole.data(), sizeof(header));
  int refused = 0;
  for (std::size_t at = 0; at < sizeof(header) + header; ++at) {
    for (const unsigned char change : {0x01, 0x10, 0x80, 0xFF}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ change);
      write(folder_ / "changed", changed);
      try {
        const SafetensorsFile file(folder_ / "changed");
        std::size_t bytes = 0;
        [[maybe_unused]] volatile std::byte touched{};
        for (const auto& [name, tensor] : file.tensors()) {
          for (const std::byte byte : tensor.bytes) touched = byte;
          bytes += tensor.bytes.size();
        }
        EXPECT_EQ(bytes, whole.size() - sizeof(header) - header) << "byte " << at;
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST_F(Safetensors, IsRefusedWithAnUnsoundHeader) {
  const auto tensor = [](const std::string& fields) { return "{\"x\":{" + fields + "}}"; };
  expect_refused("[]", 0, "not a JSON object");
  expect_refused(" {}", 0, "not a JSON object");
  expect_refused("{\"x\":", 0, "is not JSON");
  expect_refused("{\"\xff\":1}", 0, "is not JSON");
  expect_refused("{}", 1, "1 bytes too many");
  expect_refused("{\"x\":1}", 0, "needs dtype, shape and data_offsets");
  expect_refused(tensor(R"("dtype":"F32","shape":[1])"), 4, "needs dtype, shape and data_offsets");
  expect_refused(tensor(R"("dtype":"F33","shape":[1],"data_offsets":[0,4])"), 4, "unknown dtype \"F33\"");
  expect_refused(tensor(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), 4, "no size");
  expect_refused(tensor(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), 4, "no size");
  expect_refused(tensor(R"("dtype":"F32","shape":1,"data_offsets":[0,4])"), 4, "shape is not an array");
  expect_refused(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), 4, "another size");
  expect_refused(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), 4, "outside the file's data");
  expect_refused(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])"), 4, "outside the file's data");
  expect_refused(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), 4, "outside the file's data");
  expect_refused(tensor(R"("dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4])"), 4, "another size");
  expect_refused(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), 8, "leave a hole");
  expect_refused(
      R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3,
      "overlap");
  expect_refused(tensor(R"("dtype":"F32","shape":[23e999],"data_offsets":[0,4])"), 4, "number that is too large");
  expect_refused(R"({"__metadata__":{"a":1}})", 0, "is not a text");
  expect_refused(R"({"__metadata__":{},"__metadata__":{}})", 0, "twice");
}

TEST_F(Safetensors, IsRefusedWithAHeaderLengthThatIsTooLarge) {
  write(folder_ / "a", std::string(8, '\xff') + "{}");
  EXPECT_THAT([&] { SafetensorsFile{folder_ / "a"}; },
              testing::ThrowsMessage<Error>(testing::HasSubstr("its header claims 18446744073709551615 bytes")));
}

TEST_F(Safetensors, IsRefusedWhenDeeplyNested) {
  expect_refused("{\"x\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}", 0, "needs dtype");
}

}  // namespace
}  // namespace silc
