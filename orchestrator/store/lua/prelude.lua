-- What all scripts share: the keys and the clock. It is put in front of each of them, so one step of
-- Redis runs both.
--
-- Keys (P is our prefix, RQ is RQ's; NAME and GEN in braces and after as written):
--   P:store              string  random id of this store
--   P:emptied            string  with time to live: when its agents found that it had lost its data
--   P:secret             string  fingerprint of the secret that the workers have
--   P:deployments        zset    NAME -> time of its newest generation
--   P:active             set     NAME@GEN that progress, serve or stop
--   P:agents             zset    agent id -> end of its lease; P:owners likewise for programs
--   P:agent:ID           hash    worker, info, state, last request and its claims; `keeps` says that workspaces are its own; `alone` is the
--                                task that it must run alone; `lease` the one to go back to from
--                                that of an idle agent; `beats` counts renewals; `gone` when it is
--   P:agent:ID:held      set     job ids and NAME@GEN/REPLICA under the agent's lease
--   P:agent:ID:inbox     stream  commands (JSON in `c`)
--   P:controller         string  who leads, with time to live
--   P:sweep              hash    heard (of anyone), quiet, swept, checked, tidied, seen:JOB
--   P:dropped:REPLICA    string  with time to live: it doesn't come back
--   P:bell               stream  an entry when tasks were released
--   P:changes            stream  op put, drop, current, canary, judge, scale or stop; name gen path
--                                replica record
--   P:loads              hash    reporter -> time and its calls under way and held (packed), with
--                                time to live
--   P:bundle:DIGEST      string  signed code, stored once for all generations that use it
--   P:bundle:DIGEST:users
--                        zset    NAME@GEN -> when it goes (ms), inf while it is active
--   P:{NAME}             hash    reserved latest current progressing live created
--                                canary canary_percent canary_since
--                                scaled:PATH (replicas asked for by hand: `3` or `1..8`)
--                                keep (ended generations that are kept however old) kept (these)
--                                warm (replaced generations that keep their replicas)
--   P:{NAME}:reserved:ID P:{NAME}:GEN:staged:N
--                        strings with time to live, of a submission that isn't sealed yet: its
--                                generation, and pieces of its tasks (create.lua)
--   P:{NAME}:events      stream  the history (events.py has the table)
--   P:{NAME}:GEN         hash    state reason created ended kinds total left failed short jobs
--                                retries deadline owner history makes_current retire first_failed bundle
--                                prepares prepared:PATH begun:PATH restored by how requires admitted
--                                canary (percent) bake max_error_rate verdict (why it is rolled back)
--                                source (the generation that it took over from) taken (its entries)
--                                logged (entries of the state log when it was ready) was_current (ms)
--                                warm (replaced generations that keep their replicas beside it)
--                                expects (the generation that had to be current)
--                                scarce (it takes what there is only once)
--   P:{NAME}:GEN:plan tree identity (strings) states (list) logs (stream) course (stream: state)
--                replicas (hash id -> "STATE AGENT PATH\n" + record) services ready (hash path -> n)
--                repairs (hash job id -> path) figures (hash caller -> what it has counted)
--                shards (hash INDEXxSTARTxSTOPxATTEMPT -> '' while open, 'r' and its result, 'f')
--                scaling (hash: asked:PATH signature and what is asked for by hand, floor:PATH how
--                many ready replicas are enough, asleep:PATH since when, why:PATH it has its number,
--                range:PATH that follows its calls)
--   RQ:job:ID            hash    RQ's fields, of which `description` is the task's id (its first part,
--                                when it is long: `rw_tail` has the rest), and ours:
--                                rw "STATE ATTEMPT LOSSES RETRIED TOKEN REST": STATE a letter
--                                (STATES; R once RQ's execution is shown), REST the agent while it
--                                runs and the time while it is queued; rw_next rw_wait rw_tail
--                                rw_home rw_reason rw_error rw_logseq rw_progress; rw_more "QUEUE\nNAME\nREPAIR\nTIMEOUT\nSTEPS"
--                                where the rest doesn't tell. A hash stays small in memory as long
--                                as no value of it is longer than 64 bytes
--   RQ:queue:Q wip:Q finished:Q failed:Q deferred:Q canceled:Q scheduled:Q execution:..
--   executions:.. results:..
--                        RQ's own: a mirror for its tools, from which nothing is decided
--
-- Redis doesn't roll back: a script reads and checks first, and writes only what can't fail.

local P, RQ = ARGV[1], ARGV[2]
local call = redis.call
local CLOCK = call('TIME')
local MS = string.format('%03d', math.floor(CLOCK[2] / 1000))
local NOW_MS, NOW_S = CLOCK[1] .. MS, CLOCK[1] .. '.' .. MS
local NOW = tonumber(NOW_MS)
local DAY_S, DAY_MS = 86400, 86400000
