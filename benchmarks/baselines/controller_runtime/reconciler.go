package main

import (
	"context"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Reconciler looks at one session, calls AGB if that is needed and allowed, and reports.
type Reconciler struct {
	client.Client
	agb    *AGB
	poll   time.Duration
	resync time.Duration
}

var phases = map[string]string{"RUNNING": "Running", "PAUSING": "Pausing", "PAUSED": "Paused", "RESUMING": "Resuming"}

// Reconcile is one pass.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var session AgbSession
	if err := r.Get(ctx, request.NamespacedName, &session); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	state, err := r.agb.Status(ctx, session.Spec.SessionID)
	if err != nil {
		return ctrl.Result{}, err
	}
	wanted := "RUNNING"
	if session.Spec.Paused {
		wanted = "PAUSED"
	}
	switch {
	case state == "RUNNING" && wanted == "PAUSED":
		err, state = r.agb.Pause(ctx, session.Spec.SessionID), "PAUSING"
	case state == "PAUSED" && wanted == "RUNNING":
		err, state = r.agb.Resume(ctx, session.Spec.SessionID), "RESUMING"
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.report(ctx, &session, state, wanted); err != nil {
		return ctrl.Result{}, err
	}
	if state == wanted {
		return ctrl.Result{RequeueAfter: r.resync}, nil
	}
	return ctrl.Result{RequeueAfter: r.poll}, nil
}

func (r *Reconciler) report(ctx context.Context, session *AgbSession, state, wanted string) error {
	before := session.DeepCopy()
	status := &session.Status
	status.ObservedGeneration = session.Generation
	status.Phase = phases[state]
	status.SessionID = session.Spec.SessionID
	status.SessionStatus = state
	status.DesiredState = phases[wanted]
	r.condition(session, "Ready", state == wanted)
	r.condition(session, "Paused", state == "PAUSED")
	if reflect.DeepEqual(before.Status, session.Status) {
		return nil
	}
	return r.Status().Patch(ctx, session, client.MergeFrom(before))
}

func (r *Reconciler) condition(session *AgbSession, kind string, holds bool) {
	status := metav1.ConditionFalse
	if holds {
		status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&session.Status.Conditions, metav1.Condition{
		Type:               kind,
		Status:             status,
		Reason:             session.Status.Phase,
		Message:            "The session is " + session.Status.SessionStatus + ".",
		ObservedGeneration: session.Generation,
	})
}
