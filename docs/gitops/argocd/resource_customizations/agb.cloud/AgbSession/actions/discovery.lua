-- The buttons in Argo CD's user interface. Pause and resume change spec.paused of the live object: see the
-- README about who owns that field.
local paused = obj.spec.paused == true
local deleting = obj.metadata.deletionTimestamp ~= nil

return {
  ["pause"] = { ["disabled"] = paused or deleting, ["iconClass"] = "fa fa-fw fa-pause" },
  ["resume"] = { ["disabled"] = not paused or deleting, ["iconClass"] = "fa fa-fw fa-play" },
  ["reconcile"] = { ["disabled"] = false, ["iconClass"] = "fa fa-fw fa-sync" },
}
