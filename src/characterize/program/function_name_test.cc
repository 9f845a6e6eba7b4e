#include "characterize/program/function_name.h"

#include <gtest/gtest.h>

namespace coracle::characterize {
namespace {

TEST(ReadableFunctionName, IsTheNameAlone) {
  EXPECT_EQ(ReadableFunctionName("im2col_cpu"), "im2col_cpu");
  EXPECT_EQ(ReadableFunctionName("_ZN2ns5Class6MethodERKSsi"), "ns::Class::Method");
  EXPECT_EQ(ReadableFunctionName("_ZN12_GLOBAL__N_11fEv"), "(anonymous namespace)::f");
  // void f<int>(int)
  EXPECT_EQ(ReadableFunctionName("_Z1fIiEvT_"), "f<int>");
  EXPECT_EQ(ReadableFunctionName("_Znwm"), "operator new");
  EXPECT_EQ(ReadableFunctionName("_ZnamSt11align_val_t"), "operator new[]");
  EXPECT_EQ(ReadableFunctionName("_ZlsRSoi"), "operator<<");
  EXPECT_EQ(ReadableFunctionName("_ZN1AclEi"), "A::operator()");
  EXPECT_EQ(ReadableFunctionName("_ZN1AptEv"), "A::operator->");
  EXPECT_EQ(ReadableFunctionName("_ZNK1AcvbEv"), "A::operator bool");
  // A::f()::{lambda(int)#1}::operator()(int) const
  EXPECT_EQ(ReadableFunctionName("_ZZN1A1fEvENKUliE_clEi"), "A::f");
  EXPECT_EQ(ReadableFunctionName("_Znot a symbol"), "_Znot a symbol");
  EXPECT_EQ(ReadableFunctionName(""), "");
}

TEST(ReadableFunctionName, IsShort) {
  const std::string long_one = ReadableFunctionName(
      "_ZNSt6vectorINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEESaIS5_EE9push_backERKS5_");
  EXPECT_EQ(long_one, "std::vector<...>::push_back");
  const std::string name(300, 'x');
  EXPECT_EQ(ReadableFunctionName(name).size(), kFunctionNameCharactersMax);
}

}  // namespace
}  // namespace coracle::characterize
