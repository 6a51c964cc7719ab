-- As health.lua, but a paused session is Suspended, so that Argo CD shows the pause sign.
--
-- The price: Argo CD waits for Healthy between sync waves, so an Application with a paused session in an early wave
-- never gets to the next one, and `argocd app wait --health` waits for ever.
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
if ready.status == "True" and ready.reason == "Paused" then
  return { status = "Suspended", message = ready.message }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
return { status = "Progressing", message = ready.reason .. ": " .. ready.message }
