#pragma once
// Who computes next, of several who share the threads of a process. Turns follow the time that each has computed: of those that wait,
// the one with the least goes first, so that however much waits for one, another waits for one turn of it at most (start-time fair
// queueing: Goyal, Vin, Cheng 1996, https://doi.org/10.1145/248157.248171, section 2, with equal weights and measured lengths).
// A turn is of all threads, or of a lane: one thread, beside turns of other lanes. A lane is a better use of a thread where enough waits for all of
// them, since none waits for another; all threads answer sooner where little does.
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <list>
#include <mutex>
#include <vector>

#include "base/thread_team.h"

namespace mlac {

// Safe to use from several threads. Outlives its parties.
class ComputeTurns {
 public:
  // One who takes turns: a model's queue. Belongs to the turns it is used with.
  class Party {
   public:
    Party() : place_(1, this) {}
    Party(const Party&) = delete;
    Party& operator=(const Party&) = delete;

   private:
    friend class ComputeTurns;
    double used_ms_ = 0;  // of all threads: a lane counts as its part of them
    bool wants_all_ = true;
    std::list<Party*> place_;  // its entry in the list of those who wait, so that no memory is needed to wait
  };

  // The right to compute, until it goes or End is called.
  class Turn {
   public:
    Turn(Turn&& other) noexcept;
    Turn& operator=(Turn&&) = delete;
    ~Turn() { End(); }
    void End();

    // The lane that is this turn's; the whole team where there is but one.
    Lane lane() const { return lane_; }
    // Makes a lane's turn one of all threads if nobody else has a lane and few wait for one, who then wait for this turn; whether it is one now.
    bool Widen();

   private:
    friend class ComputeTurns;
    Turn(ComputeTurns* turns, Party& party, Lane lane) : turns_(turns), party_(party), lane_(lane), start_(std::chrono::steady_clock::now()) {}
    ComputeTurns* turns_;  // null: over
    Party& party_;
    Lane lane_;
    std::chrono::steady_clock::time_point start_;
  };

  // num_lanes: the threads that are shared; 1 where all turns are to be of all of them.
  explicit ComputeTurns(size_t num_lanes = 1) : num_lanes_(num_lanes), taken_(num_lanes) {}

  // Waits until nobody computes and it is this one's turn. A party waits for one turn at a time.
  Turn Take(Party& party);
  // Waits until a lane is free and it is this one's turn. A party may have several lanes.
  Turn TakeLane(Party& party);

  size_t num_lanes() const { return num_lanes_; }
  // How many wait, for tests.
  size_t num_waiting() const;

 private:
  Turn Wait(Party& party, bool wants_all);
  bool CanTake(const Party& party) const;
  void Release(Party& party, Lane lane, double used_ms);
  bool Widen();

  const size_t num_lanes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> taken_;    // by lane
  size_t num_taken_ = 0;
  double clock_ms_ = 0;        // used_ms_ of the last one that began, as it was then: who was idle does not begin below it
  std::list<Party*> waiting_;  // in the order of their coming
};

}  // namespace mlac
