-- Have the session looked at now; status.lastHandledReconcileAt answers with the same value.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["agb.cloud/reconcile-requested-at"] = os.date("!%Y-%m-%dT%XZ")
return obj
