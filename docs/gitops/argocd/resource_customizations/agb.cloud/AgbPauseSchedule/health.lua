-- Health of an AgbPauseSchedule, from its conditions (kstatus conventions).
--
-- It is Healthy when the operator understands it, whether it asks for a pause now or not: whether its sessions have
-- followed is told by the AgbSessions themselves.
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

if not current then
  return { status = "Progressing", message = "Waiting for the operator to look" }
end
if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = stalled.reason .. ": " .. stalled.message }
end
if ready ~= nil and ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
return { status = "Progressing", message = "Waiting for the operator to look" }
