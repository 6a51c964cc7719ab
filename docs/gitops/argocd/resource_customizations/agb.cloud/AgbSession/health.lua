-- Health of an AgbSession, from its conditions (kstatus conventions).
--
-- A paused session is Healthy: Git asked for it, and it is so. The variant in variants/suspended reports Suspended
-- instead, at a price that its comment names.
local function condition(type)
  if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, found in ipairs(obj.status.conditions) do
      if found.type == type then
        return found
      end
    end
  end
  return nil
end

local ready = condition("Ready")
local stalled = condition("Stalled")
local current = obj.status ~= nil and obj.status.observedGeneration == obj.metadata.generation

if stalled ~= nil and stalled.status == "True" and (current or obj.metadata.deletionTimestamp ~= nil) then
  return { status = "Degraded", message = stalled.reason .. ": " .. stalled.message }
end
if obj.metadata.deletionTimestamp ~= nil then
  return { status = "Progressing", message = "The session is being released" }
end
if not current or ready == nil then
  return { status = "Progressing", message = "Waiting for the operator to look" }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
return { status = "Progressing", message = ready.reason .. ": " .. ready.message }
